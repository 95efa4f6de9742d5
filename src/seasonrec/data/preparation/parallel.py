"""Work that is done side by side and handed on in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_AT_ONCE = 2

Given = TypeVar("Given")
Result = TypeVar("Result")


def in_order(work: Callable[[Given], Result], given: Iterable[Given]) -> Iterator[Result]:
    """``map`` on two threads: numpy and polars let go of the interpreter while they compute.

    Never more than two results exist that nobody has taken.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        waiting: deque[Future[Result]] = deque()
        for one in given:
            if len(waiting) == _AT_ONCE:
                yield waiting.popleft().result()
            waiting.append(pool.submit(work, one))
        while waiting:
            yield waiting.popleft().result()
