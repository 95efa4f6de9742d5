"""Number of events of each code before each day, as a table or in a sparse form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seasonrec.batches.requests import gather_ranges

DENSE_CELLS = 1 << 26
"""Limit of days times codes for one table (256 MiB)."""

SORTED_EVENTS = 1 << 25
"""Events that the sparse form sorts at a time (256 MiB)."""

LOOKED_UP = 1 << 22
"""Events and cells of the result that a look-up in the sparse form processes at a time."""

DaysAndCodes = Callable[[], Iterator[tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]]]
"""Function that yields all events in portions ``(days, codes)``, numbered from 0, in any order."""


def prefix_counts(
    events: DaysAndCodes, num_days: int, num_codes: int, dense_cells: int = DENSE_CELLS
) -> DensePrefix | SparsePrefix:
    """Counts events in a table or in the sparse form; both give the same counts.

    Args:
        events: The events; the sparse form reads them twice, and once more per ``SORTED_EVENTS`` events.
        num_days: Number of days, from 0.
        num_codes: Number of codes, from 0.
        dense_cells: Limit of days times codes for a table.
    """
    form = DensePrefix if (num_days + 1) * num_codes <= dense_cells else SparsePrefix
    return form(events, num_days, num_codes)


class DensePrefix:
    """Table of running counts. Memory: 4 bytes per day and code."""

    def __init__(self, events: DaysAndCodes, num_days: int, num_codes: int) -> None:
        self.table = _running_counts(events, num_days, num_codes)

    def before(self, days: NDArray[np.int64], codes: NDArray[np.int64] | None = None) -> NDArray[np.int32]:
        """Returns ``(Q, C)`` events of the codes (None for all) before each of ``Q`` days in ``0..num_days``."""
        return self.table[days] if codes is None else self.table[days[:, None], codes]


class SparsePrefix:
    """Running counts of the codes with at least as many events as days; sorted days of the events of other codes.

    Memory: at most 4 bytes per event, 2 if most codes have fewer events than there are days, and never more than the
    table. A look-up reads every event of the requested rarer codes once, for all days together.
    """

    def __init__(self, events: DaysAndCodes, num_days: int, num_codes: int) -> None:
        self.num_days = num_days
        counts = np.zeros(num_codes, dtype=np.int64)
        for _, codes in events():
            counts += np.bincount(codes, minlength=num_codes)
        often = counts >= num_days
        self.column = np.where(often, np.cumsum(often) - 1, -1)  # (codes,) column in the table, -1 without one
        self.table = _running_counts(lambda: _mapped(events, self.column), num_days, int(often.sum()))
        self.starts = np.append(0, np.cumsum(np.where(often, 0, counts)))
        self.days = self._sorted_days(events)

    def before(self, days: NDArray[np.int64], codes: NDArray[np.int64] | None = None) -> NDArray[np.int32]:
        bounds, row = np.unique(days, return_inverse=True)
        codes = np.arange(len(self.column)) if codes is None else codes
        result = np.empty((len(bounds), len(codes)), dtype=np.int32)
        column = self.column[codes]
        often, seldom = np.flatnonzero(column >= 0), np.flatnonzero(column < 0)
        result[:, often] = self.table[bounds[:, None], column[often]]
        work = np.cumsum(self.starts[codes[seldom] + 1] - self.starts[codes[seldom]] + len(bounds))
        for part in np.split(seldom, np.flatnonzero(np.diff(work // LOOKED_UP)) + 1):
            result[:, part] = self._of_seldom(bounds, codes[part])
        return result[row]

    def _of_seldom(self, bounds: NDArray[np.int64], codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns ``(B, C)`` events of codes without a column before each of the rising days ``bounds``."""
        owner, event = gather_ranges(self.starts[codes], self.starts[codes + 1])
        passed = np.searchsorted(bounds, np.arange(self.num_days), side="right")  # number of bounds up to each day
        cell = owner * (len(bounds) + 1) + passed[self.days[event]]
        counts = np.bincount(cell, minlength=len(codes) * (len(bounds) + 1))
        counts = counts.reshape(len(codes), len(bounds) + 1)
        return counts[:, :-1].cumsum(axis=1).T

    def _sorted_days(self, events: DaysAndCodes) -> NDArray[np.unsignedinteger[Any]]:
        """Returns the days of all events of codes without a column, sorted by code and day, in the smallest type."""
        days = np.empty(int(self.starts[-1]), dtype=np.min_scalar_type(self.num_days))
        part = self.starts[1:] // SORTED_EVENTS
        for number in np.unique(part).tolist():
            first, last = np.searchsorted(part, [number, number + 1])
            start, stop = self.starts[first], self.starts[last]
            key = np.empty(stop - start, dtype=np.int64)
            filled = 0
            for day, code in events():
                here = (code >= first) & (code < last) & (self.column[code] < 0)
                chosen = code[here].astype(np.int64) * self.num_days + day[here]
                key[filled : filled + len(chosen)] = chosen
                filled += len(chosen)
            key.sort()
            key %= self.num_days
            days[start:stop] = key
        return days


def _mapped(
    events: DaysAndCodes, column: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]]:
    """Yields the events of codes that have a column, with the column in place of the code."""
    for days, codes in events():
        to = column[codes]
        yield days[to >= 0], to[to >= 0]


def _running_counts(events: DaysAndCodes, num_days: int, num_codes: int) -> NDArray[np.int32]:
    """Returns ``(num_days + 1, num_codes)`` events of each code before each day."""
    table = np.zeros((num_days + 1, num_codes), dtype=np.int32)
    cells = table.reshape(-1)
    for days, codes in events():
        np.add.at(cells, (days.astype(np.int64) + 1) * num_codes + codes, np.int32(1))
    for day in range(num_days):
        table[day + 1] += table[day]
    return table
