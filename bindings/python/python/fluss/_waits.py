"""How long calls wait."""

from datetime import timedelta
from time import monotonic
from typing import TypeAlias, final

Timeout: TypeAlias = float | timedelta | None
"""How long a call has: seconds or a ``timedelta``. With ``None`` it has as long as the connection's options say."""


@final
class Clock:
    """The time that a call of several waits has, from now on."""

    def __init__(self, timeout: Timeout) -> None:
        self._begun = monotonic()
        self._limit = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout

    @property
    def seconds(self) -> float:
        """How long the call has taken so far."""
        return monotonic() - self._begun

    @property
    def left(self) -> float | None:
        """How long its next wait may take."""
        if self._limit is None or not self._limit > 0:
            return self._limit
        return max(self._limit - self.seconds, 0.0)
