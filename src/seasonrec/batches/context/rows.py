"""Cache of computed rows with limited memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

GROUP_CELLS = 1 << 23
"""Number of cells that are computed at a time."""


class RowCache:
    """Cache of arrays of one shape by key; the least recently used arrays are dropped first.

    Args:
        shape: Shape of a row.
        dtype: Type of a row.
        num_keys: Number of possible keys.
        budget_bytes: Limit of the memory for the rows, in bytes; the memory is used as rows arrive.
    """

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike, num_keys: int, budget_bytes: int) -> None:
        row_bytes = max(1, int(np.prod(shape)) * np.dtype(dtype).itemsize)
        self.num_slots = min(num_keys, budget_bytes // row_bytes)
        self.holds_all = self.num_slots == num_keys
        self._group = max(1, GROUP_CELLS // max(1, int(np.prod(shape))))
        self._rows = np.empty((self.num_slots, *shape), dtype=dtype)
        self._slots: OrderedDict[Hashable, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._slots

    def __call__(
        self,
        keys: Sequence[Hashable],
        compute: Callable[[list[int], NDArray[np.int64] | None], NDArray[Any]],
        columns: NDArray[np.int64] | None = None,
    ) -> NDArray[Any]:
        """Returns ``(Q, *shape)`` rows of the keys.

        Args:
            keys: ``Q`` distinct keys.
            compute: Function that returns some columns (None for all) of the rows of the keys at given places.
            columns: Places along the first axis of a row; None for all. Some columns are taken from the cache if all
                rows fit into it, else they are computed alone.
        """
        if columns is not None and not self.holds_all:
            return compute(list(range(len(keys))), columns)
        if len(keys) > self.num_slots:
            return np.concatenate([compute(part, None) for part in self._groups(range(len(keys)))])
        missing = [place for place, key in enumerate(keys) if key not in self._slots]
        for key in keys:
            if key in self._slots:
                self._slots.move_to_end(key)
        for part in self._groups(missing):
            slots = [self._free(keys[place]) for place in part]
            self._rows[slots] = compute(part, None)
        index = np.fromiter((self._slots[key] for key in keys), dtype=np.int64, count=len(keys))
        return self._rows.take(index, axis=0) if columns is None else self._rows[index[:, None], columns]

    def _groups(self, places: Sequence[int]) -> Iterator[list[int]]:
        for start in range(0, len(places), self._group):
            yield list(places[start : start + self._group])

    def _free(self, key: Hashable) -> int:
        """Returns a slot for a key; drops the least recently used row if none is free, which is no row of this call."""
        used = len(self._slots)
        self._slots[key] = used if used < self.num_slots else self._slots.popitem(last=False)[1]
        return self._slots[key]
