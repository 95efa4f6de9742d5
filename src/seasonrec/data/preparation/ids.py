"""Numeric codes of ids, in the order of first appearance."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

_WIDEST = 1 << 26
"""Limit of the range of whole numbers that have a table of 4 bytes per number (at most 256 MB)."""

_LEAST = np.array([0, 0, *(10**digits for digits in range(1, 19))])
"""Smallest number with each number of digits."""


class IdCoder:
    """Coder that numbers distinct ids from 0, chunk by chunk.

    Ids that are whole numbers, as numbers or text, are looked up in a table, which is about ten times as fast as a
    dictionary of text. All ids become text as soon as one is not the usual form of a number (``07``, ``+7``, ``a7``) or
    the range of the numbers is too wide; existing codes do not change.

    Attributes:
        counts: ``(C,)`` int64, rows of each code so far.
    """

    def __init__(self) -> None:
        self.counts: NDArray[np.int64] = np.zeros(0, np.int64)
        self._numbers = _Numbers()
        self._words: _Words | None = None

    def code(self, ids: pl.Series) -> NDArray[np.int32]:
        """Returns ``(E,)`` codes of ids: text or whole numbers without null."""
        codes = self._codes(ids)
        counts = np.bincount(codes, minlength=len(self.counts))
        counts[: len(self.counts)] += self.counts
        self.counts = counts
        return codes

    def ids(self) -> pl.Series:
        """Returns ``(C,)`` ids as text, in the order of their codes."""
        return self._numbers.ids() if self._words is None else self._words.ids(len(self.counts))

    def _codes(self, ids: pl.Series) -> NDArray[np.int32]:
        if self._words is None:
            numbers = _whole_numbers(ids)
            codes = None if numbers is None else self._numbers.code(numbers)
            if codes is not None:
                return codes
            self._words = _Words(self._numbers.ids())
            self._numbers = _Numbers()
        return self._words.code(ids.cast(pl.String))


def _whole_numbers(ids: pl.Series) -> NDArray[np.int64] | None:
    """Returns the ids as numbers, or None if the text of a number differs from its id."""
    if ids.dtype != pl.String and not ids.dtype.is_integer():
        return None
    head = ids.head(1).cast(pl.Int64, strict=False)  # the first row usually shows that ids are text
    numbers = head if head.null_count() else ids.cast(pl.Int64, strict=False)
    if numbers.null_count():
        return None
    found = numbers.to_numpy()
    if ids.dtype == pl.String:
        digits = ids.str.len_bytes().to_numpy()
        if len(digits) and (digits.max() >= len(_LEAST) or (found < _LEAST[digits]).any()):
            return None
    return found


class _Numbers:
    """Codes of whole numbers, in a table over their range."""

    def __init__(self) -> None:
        self._low, self._high = 0, -1  # range of the numbers so far
        self._base = 0  # number at the table's first place
        self._table: NDArray[np.int32] = np.zeros(0, np.int32)  # code + 1, so that untouched pages cost no memory
        self._known: list[NDArray[np.int64]] = []
        self._count = 0

    def code(self, numbers: NDArray[np.int64]) -> NDArray[np.int32] | None:
        """Returns codes, or None if the range of all numbers is too wide for a table."""
        if len(numbers) == 0:
            return np.zeros(0, np.int32)
        if not self._cover(int(numbers.min()), int(numbers.max())):
            return None
        place = numbers - self._base
        codes = self._table[place]
        unknown = codes == 0
        if unknown.any():
            new = pl.Series(place[unknown]).unique(maintain_order=True).to_numpy()
            self._table[new] = np.arange(self._count + 1, self._count + 1 + len(new))
            self._known.append(new + self._base)
            self._count += len(new)
            codes = self._table[place]
        return codes - 1

    def ids(self) -> pl.Series:
        known = np.concatenate(self._known) if self._known else np.zeros(0, np.int64)
        return pl.Series(known, dtype=pl.Int64).cast(pl.String)

    def _cover(self, low: int, high: int) -> bool:
        """Extends the table to include ``low`` and ``high``, with room to grow; returns False if it gets too wide."""
        if self._count:
            low, high = min(low, self._low), max(high, self._high)
        if high - low >= _WIDEST:
            return False
        if not self._base <= low <= high < self._base + len(self._table):
            table = np.zeros(min(2 * (high - low + 1), _WIDEST), np.int32)
            if self._count:
                used = self._table[self._low - self._base : self._high - self._base + 1]
                table[self._low - low : self._low - low + len(used)] = used
            self._base, self._table = low, table
        self._low, self._high = low, high
        return True


class _Words:
    """Codes of text, from the dictionary of a categorical type of polars."""

    def __init__(self, known: pl.Series) -> None:
        self._type = pl.Categorical(pl.Categories.random())
        # numbers words in order of appearance; exists as long as a column of its type
        self._dictionary = known.cast(self._type)

    def code(self, words: pl.Series) -> NDArray[np.int32]:
        return words.cast(self._type).to_physical().to_numpy().astype(np.int32)

    def ids(self, count: int) -> pl.Series:
        return pl.Series(np.arange(count, dtype=np.uint32)).cat.to(self._type).cast(pl.String)
