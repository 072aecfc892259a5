"""What the client counts and measures."""

from collections.abc import Mapping
from dataclasses import dataclass

from fluss import _fluss


@dataclass(frozen=True)
class Distribution:
    """How the values of a histogram are distributed. Quantiles may be off by an eighth, all else is exact.

    ``min`` and what follows it are None while ``count`` is 0.
    """

    count: int
    sum: float
    min: float | None
    max: float | None
    p50: float | None
    p90: float | None
    p99: float | None


@dataclass(frozen=True)
class Metric:
    """What a metric has come to under some labels: a number that only grows, or a distribution.

    ``unit`` says what its values are numbers of: ``rows``, ``bytes``, ``seconds`` and so on.
    """

    name: str
    labels: Mapping[str, str]
    unit: str
    description: str
    value: int | Distribution


def metrics() -> list[Metric]:
    """What everything has come to that this process counts and measures, since its first connection.

    The metrics are listed in ``docs/observability.md``. It is the same in both faces, and waits for nobody::

        written = sum(m.value for m in fluss.metrics() if m.name == "fluss_client_writer_rows_total")
    """
    return [
        Metric(name, dict(labels), unit, description, Distribution(*value) if isinstance(value, tuple) else value)
        for name, unit, description, labels, value in _fluss.metric_values()
    ]
