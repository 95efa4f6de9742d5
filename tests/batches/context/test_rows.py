"""Cache of rows: computed once within the budget; the least recently used are dropped first."""

import numpy as np
import pytest
from numpy.typing import NDArray

from seasonrec.batches.context import rows
from seasonrec.batches.context.rows import RowCache

ROW_BYTES = 3 * 8


class Source:
    """Source of rows ``(key, 10 key, 100 key)`` that records the computed keys."""

    def __init__(self, cache: RowCache) -> None:
        self.cache = cache
        self.computed: list[int] = []

    def ask(self, keys: list[int], columns: NDArray[np.int64] | None = None) -> list[list[float]]:
        def compute(places: list[int], columns: NDArray[np.int64] | None) -> NDArray[np.float64]:
            self.computed += [keys[place] for place in places]
            rows = np.outer([keys[place] for place in places], [1.0, 10.0, 100.0])
            return rows if columns is None else rows[:, columns]

        found: list[list[float]] = self.cache(keys, compute, columns).tolist()
        return found


def expected(keys: list[int]) -> list[list[float]]:
    return [[key, 10.0 * key, 100.0 * key] for key in keys]


def test_rows_that_fit_are_computed_once() -> None:
    source = Source(RowCache((3,), np.float64, 4, 4 * ROW_BYTES))
    assert source.cache.holds_all
    assert source.ask([2, 0]) == expected([2, 0])
    assert source.ask([0, 1, 2]) == expected([0, 1, 2])
    assert source.computed == [2, 0, 1]
    assert source.ask([1], np.asarray([0, 2])) == [[1.0, 100.0]]
    assert len(source.cache) == 3


def test_the_least_recently_used_leaves_first() -> None:
    source = Source(RowCache((3,), np.float64, 9, 3 * ROW_BYTES))
    assert not source.cache.holds_all
    source.ask([0, 1, 2])
    source.ask([0])
    assert source.ask([3, 2]) == expected([3, 2])  # 1 is dropped
    source.ask([0, 2, 3])
    assert source.computed == [0, 1, 2, 3]
    assert source.ask([1, 0]) == expected([1, 0])
    assert source.computed == [0, 1, 2, 3, 1]


@pytest.mark.parametrize("budget", [0, 2 * ROW_BYTES])
def test_more_rows_than_room_are_given_and_not_kept(budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "GROUP_CELLS", 6)
    source = Source(RowCache((3,), np.float64, 9, budget))
    assert source.ask([5, 1, 4]) == expected([5, 1, 4])
    assert source.ask([5, 1, 4], np.asarray([1])) == [[50.0], [10.0], [40.0]]
    assert len(source.cache) == 0
