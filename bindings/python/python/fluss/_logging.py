"""Gives the client's events to the loggers of `logging`.

The client must not wait for the interpreter when something happens, nor ask it whether anybody wants to know: it is
told of the loggers' levels beforehand.
"""

import logging
from collections.abc import Iterable

from fluss import _fluss

_NAMES = _fluss.loggers()
_ROOT = "fluss"


class _Cache(dict[int, bool]):
    """What a logger knows of its levels. `logging` clears it whenever any level changes, and tells nobody else."""

    def clear(self) -> None:
        super().clear()
        tell_levels()


def tell_levels() -> None:
    """Tells the client which levels the loggers want."""
    least = logging.root.manager.disable + 1
    levels = (logging.getLogger(name).getEffectiveLevel() for name in _NAMES)
    _fluss.set_log_levels([max(level, least) for level in levels])


def handle(
    events: Iterable[tuple[str, int, str, dict[str, object], float, str, int]],
    lost: int,
) -> None:
    """Gives events to their loggers. The client calls it; ``lost`` is how many there was no room for."""
    for name, level, message, fields, moment, path, line in events:
        logger = logging.getLogger(name)
        if logger.isEnabledFor(level):
            text = " ".join([message, *(f"{key}={value}" for key, value in fields.items())])
            record = logger.makeRecord(name, level, path, line, text, (), None)
            _date(record, moment)
            # What a record knows of itself stays as it is.
            record.__dict__ = fields | record.__dict__
            logger.handle(record)
    if lost:
        logging.getLogger(_ROOT).warning("%d events were lost, for nobody took them in time", lost)


def _date(record: logging.LogRecord, moment: float) -> None:
    """Says when it happened, which may be some time ago."""
    record.relativeCreated -= (record.created - moment) * 1000
    record.created = moment
    record.msecs = moment % 1 * 1000


def start() -> None:
    """Has the client told of levels, now and whenever they change."""
    logger = logging.getLogger(_ROOT)
    logger.addHandler(logging.NullHandler())
    vars(logger)["_cache"] = _Cache()
    tell_levels()
