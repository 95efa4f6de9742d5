"""Reader of a file of events, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seasonrec.data.files.reading import batches, check_ids, is_typed, number_fault
from seasonrec.data.files.row_faults import BlankFault, RowFault
from seasonrec.data.files.times import TimeReader
from seasonrec.data.preparation.coded import EventCoder
from seasonrec.data.tables import DataError


class EventColumns(NamedTuple):
    """Names of the columns in the file; None for an absent column."""

    user: str
    item: str
    time: str
    value: str | None = None
    quantity: str | None = None
    behaviour: str | None = None


class EventFile:
    """Reader of an event file. Faults are collected and raised at the end, so that a message can count them.

    Attributes:
        rows: Number of rows read so far.
        without_quantity: Number of these rows whose quantity is unknown or not above zero.
        item_type: Type of the item ids in the file; None in a text file.
    """

    def __init__(self, path: Path, columns: EventColumns, times: TimeReader) -> None:
        self.rows = 0
        self.without_quantity = 0
        self.item_type: pl.DataType | None = None
        self._path, self._columns, self._times = path, columns, times
        self._null_ids = False
        self._blank_behaviour = BlankFault()
        self._no_number = {name: RowFault() for name in (columns.value, columns.quantity) if name is not None}

    def read(self, coder: EventCoder, progress: Callable[[str], None]) -> list[str]:
        """Passes all events to ``coder`` and returns notes for the user.

        Raises:
            DataError: On the first broken rule, in the order times, users, items, values, quantities.
        """
        for batch in batches(self._path, [name for name in self._columns if name is not None]):
            self._take(batch, coder)
            progress(f"read {self.rows:,} rows of {self._path.name}")
        users, items = coder.users.ids(), coder.items.ids()
        notes = self._finish(users, items)
        return [*notes, *_mixed("user_id", users, coder.users.counts), *_mixed("item_id", items, coder.items.counts)]

    def _take(self, batch: pl.DataFrame, coder: EventCoder) -> None:
        columns = self._columns
        with ThreadPoolExecutor(1) as other:
            amounts = [
                None if name is None else other.submit(self._numbers, batch[name])
                for name in (columns.value, columns.quantity)
            ]
            times_s = self._times.read(batch[columns.time])
        users, items = self._ids(batch[columns.user]), self._ids(batch[columns.item])
        behaviours = None if columns.behaviour is None else self._behaviours(batch[columns.behaviour])
        values, quantity = (None if amount is None else amount.result() for amount in amounts)
        kept = None if quantity is None else (quantity.fill_nan(None) > 0).fill_null(False).to_numpy()
        self.rows += batch.height
        self.without_quantity += 0 if kept is None else int((~kept).sum())
        if not (users.null_count() or items.null_count() or times_s.null_count()):
            filled = None if values is None else _filled(values)
            coder.add(users, items, times_s.to_numpy(), filled, kept, behaviours)

    def _ids(self, ids: pl.Series) -> pl.Series:
        if not self.rows:
            self._check_type(ids)
        self._null_ids |= ids.null_count() > 0
        return ids

    def _behaviours(self, written: pl.Series) -> pl.Series:
        """Returns the behaviours as text; blank ones are a fault that is raised at the end."""
        names = written.cast(pl.String).str.strip_chars()
        self._blank_behaviour.look(names, self.rows)
        return names.fill_null("")

    def _check_type(self, ids: pl.Series) -> None:
        try:
            check_ids(ids.dtype, ids.name, self._path)
        except DataError:
            self._times.finish()  # raises a fault of the times first
            raise
        if ids.name == self._columns.item and is_typed(self._path):
            self.item_type = ids.dtype

    def _numbers(self, written: pl.Series) -> pl.Series:
        """Returns a column as Float64, null where the value is empty or not a number."""
        numbers = written.cast(pl.Float64, strict=False)
        if numbers.null_count() > written.null_count():
            self._no_number[written.name].add(numbers.is_null() & written.is_not_null(), written, self.rows)
        return numbers

    def _finish(self, users: pl.Series, items: pl.Series) -> list[str]:
        """Returns the notes of the times, or raises the first fault."""
        notes = self._times.finish()
        if self._null_ids or _has_blank(users) or _has_blank(items):
            for name in (self._columns.user, self._columns.item):
                self._refuse_blank(name)
        if self._blank_behaviour.count:
            raise DataError(self._blank_behaviour.message(f"{self._path}: column {self._columns.behaviour}"))
        for name, fault in self._no_number.items():
            if fault.count:
                raise number_fault(self._path, name, fault)
        return notes

    def _refuse_blank(self, column: str) -> None:
        """Reads the column again and raises a DataError if a value is blank."""
        fault, rows = BlankFault(), 0
        for batch in batches(self._path, [column]):
            fault.look(batch[column], rows)
            rows += batch.height
        if fault.count:
            raise DataError(fault.message(f"{self._path}: column {column}"))


def _has_blank(ids: pl.Series) -> bool:
    return bool((ids.str.strip_chars() == "").any())


def _filled(values: pl.Series) -> NDArray[np.float32]:
    exact = values.cast(pl.Float32)
    return (exact.fill_null(np.nan) if exact.null_count() else exact).to_numpy()


def _mixed(key: str, ids: pl.Series, counts: NDArray[np.int64]) -> list[str]:
    """Returns a note if some ids are numbers and others are not."""
    rows = int(counts.sum())
    numbers = int(counts[ids.str.contains(r"^\d+$").to_numpy()].sum())
    if not 0 < numbers < rows:
        return []
    return [f"{key}: {numbers:,} of {rows:,} rows have a number, the others text; all are text"]
