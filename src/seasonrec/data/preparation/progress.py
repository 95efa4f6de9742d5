"""Progress that is told now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Seldom:
    """Passes a line on when some seconds have gone by since the last one, so that short work says nothing.

    Args:
        tell: Receives the lines.
        seconds: Least time between two of them.
    """

    tell: Callable[[str], None]
    seconds: float = 10.0
    _last: float = field(default_factory=time.monotonic, init=False)

    def __call__(self, line: str) -> None:
        now = time.monotonic()
        if now - self._last >= self.seconds:
            self._last = now
            self.tell(f"  {line}")
