"""Parallel work with results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_AT_ONCE = 2

Given = TypeVar("Given")
Result = TypeVar("Result")


def in_order(work: Callable[[Given], Result], given: Iterable[Given]) -> Iterator[Result]:
    """Yields the results of ``work`` in the order of ``given``, computed by two threads, at most two in advance.

    Threads suffice because numpy and polars release the interpreter lock while they compute.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        waiting: deque[Future[Result]] = deque()
        for one in given:
            if len(waiting) == _AT_ONCE:
                yield waiting.popleft().result()
            waiting.append(pool.submit(work, one))
        while waiting:
            yield waiting.popleft().result()
