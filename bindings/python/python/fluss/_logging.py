"""Gives the client's events to the loggers of `logging`.

The client must not wait for the interpreter when something happens, nor ask it whether anybody wants to know: it reads
the loggers' levels when a call begins to wait.
"""

import logging
from collections.abc import Iterable

_ROOT = "fluss"


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
    """Has nothing printed unless the program sets logging up."""
    logging.getLogger(_ROOT).addHandler(logging.NullHandler())
