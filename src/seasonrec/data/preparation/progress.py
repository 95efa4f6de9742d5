"""Progress lines at limited frequency."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Throttled:
    """Progress function that passes on one line per interval, so that short work prints nothing.

    Args:
        write: Receives the lines.
        seconds: Least time between two lines.
    """

    write: Callable[[str], None]
    seconds: float = 10.0
    _last: float = field(default_factory=time.monotonic, init=False)

    def __call__(self, line: str) -> None:
        now = time.monotonic()
        if now - self._last >= self.seconds:
            self._last = now
            self.write(f"  {line}")
