"""How long calls wait."""

from datetime import timedelta
from typing import TypeAlias

Timeout: TypeAlias = float | timedelta | None
"""How long a call has: seconds or a ``timedelta``. With ``None`` it has as long as the connection's options say."""
