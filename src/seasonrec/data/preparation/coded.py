"""Events whose users and items are numbers, in blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seasonrec.data.preparation.ids import IdCoder
from seasonrec.data.preparation.spool import Block, Spool
from seasonrec.data.tables import Dataset, Rule


@dataclass(frozen=True)
class CodedEvents:
    """Events with users and items numbered in id order, in the order of their source.

    Args:
        users: ``(U,)`` String, ids of the users with events, rising.
        items: ``(V,)`` String, ids of the items with events, rising.
        user_counts: ``(U,)`` int64, events of each user.
        first_s: Earliest time, seconds since 1970-01-01 UTC.
        last_s: Latest time.
        user_numbers: ``(C,)`` int32, number of the user of each code; -1 if the user has no event left.
        item_numbers: ``(C,)`` int32, number of the item of each code; -1 if the item is left out.
        rows: Blocks of user codes (int32), item codes (int32), seconds (int64), values (float, NaN where unknown), and
            behaviour codes (int32), if the events have a behaviour.
        behaviours: ``(H,)`` String, names of the behaviours, rising; empty if the events have none.
        behaviour_numbers: ``(C,)`` int32, number of the behaviour of each code.
    """

    users: pl.Series
    items: pl.Series
    user_counts: NDArray[np.int64]
    first_s: int
    last_s: int
    user_numbers: NDArray[np.int32]
    item_numbers: NDArray[np.int32]
    rows: Spool
    behaviours: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.String))
    behaviour_numbers: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))

    @property
    def num_events(self) -> int:
        return int(self.user_counts.sum())

    def blocks(self) -> Iterator[Block]:
        """Yields blocks of user numbers (int32), things (int), seconds (int64) and values (float).

        A thing is an item number. If the events have a behaviour, it is ``item * H + behaviour``, an int64, so that the
        same item in two behaviours counts as two things of a basket.
        """
        whole = self.num_events == self.rows.rows
        for user, item, time_s, value, *behaviour in self.rows.blocks():
            numbers = self.item_numbers[item]
            things = numbers
            if behaviour:
                things = numbers.astype(np.int64) * len(self.behaviours) + self.behaviour_numbers[behaviour[0]]
            block = (self.user_numbers[user], things, time_s, value)
            if whole:
                yield block
            else:
                kept = numbers >= 0
                yield tuple(column[kept] for column in block)

    def frame(self) -> pl.DataFrame:
        """Returns all events as a table ``user_id, item_id, timestamp_s, value`` (and ``behaviour``) in memory."""
        parts = []
        for user, thing, time_s, value in self.blocks():
            item, behaviour = np.divmod(thing, self.num_behaviours)
            columns = {
                "user_id": self.users.gather(user),
                "item_id": self.items.gather(item),
                "timestamp_s": time_s,
                "value": pl.Series(value).fill_nan(None),
            }
            told = {"behaviour": self.behaviours.gather(behaviour)} if len(self.behaviours) else {}
            parts.append(pl.DataFrame({**columns, **told}))
        empty = {"user_id": pl.String, "item_id": pl.String, "timestamp_s": pl.Int64, "value": pl.Float32}
        return pl.concat(parts) if parts else pl.DataFrame(schema=empty)

    @property
    def num_behaviours(self) -> int:
        """Number of behaviours; 1 if the events have none."""
        return max(len(self.behaviours), 1)

    @property
    def block_types(self) -> tuple[np.dtype[Any], ...]:
        """Types of the columns of the blocks."""
        user, item, *others = self.rows.dtypes[:4]
        return (user, np.dtype(np.int64) if len(self.behaviours) else item, *others)


class EventCoder:
    """Collector that numbers the cleaned events of a source, chunk by chunk.

    Events that do not fit into memory are written into ``folder``; None keeps all in memory.

    Args:
        folder: The folder, or None.
        value_type: Type of the values.
        with_behaviours: Whether every event has a behaviour.
    """

    def __init__(
        self, folder: Path | None, value_type: type[np.floating] = np.float32, with_behaviours: bool = False
    ) -> None:
        self.users, self.items, self.behaviours = IdCoder(), IdCoder(), IdCoder()
        path = None if folder is None else folder / "rows"
        further = (np.int32,) if with_behaviours else ()
        self._rows = Spool((np.int32, np.int32, np.int64, value_type, *further), path)
        self._dropped_users = np.zeros(0, np.int64)
        self._dropped_items = np.zeros(0, np.int64)
        self._span = _NO_SPAN

    def add(
        self,
        users: pl.Series,
        items: pl.Series,
        times_s: NDArray[np.int64],
        values: NDArray[np.floating] | None,
        kept: NDArray[np.bool_] | None = None,
        behaviours: pl.Series | None = None,
    ) -> None:
        """Adds the next events.

        Args:
            users, items: ``(E,)`` text or whole numbers without null.
            times_s: ``(E,)`` seconds since 1970-01-01 UTC.
            values: ``(E,)``, NaN where unknown; None if no value is known.
            kept: ``(E,)`` True for the rows to keep; None for all.
            behaviours: ``(E,)`` text without null, if the coder has behaviours.
        """
        if values is None:
            values = np.full(len(times_s), np.nan, np.float32)
        with ThreadPoolExecutor(1) as other:
            item_codes = other.submit(self.items.code, items)
            columns: Block = (self.users.code(users), item_codes.result(), times_s, values)
        if behaviours is not None:
            columns = (*columns, self.behaviours.code(behaviours))
        if kept is not None and not kept.all():
            self._dropped_users = _added(self._dropped_users, np.bincount(columns[0][~kept]))
            self._dropped_items = _added(self._dropped_items, np.bincount(columns[1][~kept]))
            columns = tuple(column[kept] for column in columns)
        if len(columns[0]):
            self._rows.append(*columns)
            self._span = _widened(self._span, columns[2])

    def finish(self, min_item_events: int = 1) -> tuple[CodedEvents, int]:
        """Returns the events of items with enough events, and the number of events that were left out."""
        user_counts = _added(self.users.counts, -self._dropped_users)
        item_counts = _added(self.items.counts, -self._dropped_items)
        kept_items = item_counts >= max(min_item_events, 1)
        left_out = int(item_counts[~kept_items].sum())
        if left_out:
            user_counts = self._count_kept(kept_items, len(user_counts))
        users, user_numbers = _numbered(self.users.ids(), user_counts > 0)
        items, item_numbers = _numbered(self.items.ids(), kept_items)
        kept = user_numbers >= 0
        counts = np.zeros(len(users), np.int64)
        counts[user_numbers[kept]] = user_counts[kept]
        every = np.ones(len(self.behaviours.counts), dtype=np.bool_)
        behaviours = _numbered(self.behaviours.ids(), every)
        events = CodedEvents(users, items, counts, *self._span, user_numbers, item_numbers, self._rows, *behaviours)
        return events, left_out

    def _count_kept(self, kept_items: NDArray[np.bool_], num_users: int) -> NDArray[np.int64]:
        """Counts the ``(C,)`` events of each user code among the kept items, and updates the span of times."""
        counts = np.zeros(num_users, np.int64)
        self._span = _NO_SPAN
        for user, item, time_s, *_ in self._rows.blocks():
            kept = kept_items[item]
            counts += np.bincount(user[kept], minlength=num_users)
            self._span = _widened(self._span, time_s[kept])
        return counts


_NO_SPAN = (np.iinfo(np.int64).max, np.iinfo(np.int64).min)


def _widened(span: tuple[int, int], times_s: NDArray[np.int64]) -> tuple[int, int]:
    return (min(span[0], int(times_s.min())), max(span[1], int(times_s.max()))) if len(times_s) else span


@dataclass(frozen=True)
class CodedTables:
    """Tables like :class:`~seasonrec.data.tables.SourceTables`, but with coded events."""

    events: CodedEvents
    items: pl.DataFrame
    users: pl.DataFrame | None
    rules: tuple[Rule, ...]
    notes: tuple[str, ...]


@runtime_checkable
class StreamedDataset(Dataset, Protocol):
    """Dataset that can be larger than the memory."""

    def coded_tables(self, folder: Path | None, progress: Callable[[str], None]) -> CodedTables:
        """Reads, checks and cleans the source chunk by chunk.

        Args:
            folder: Folder for events that do not fit into memory; None keeps all in memory.
            progress: Receives a line for every chunk.
        """
        ...


def coded_events(events: pl.DataFrame) -> CodedEvents:
    """Returns the events of :class:`~seasonrec.data.tables.SourceTables` with numbered users and items."""
    has_value = "value" in events.columns and events["value"].dtype.is_numeric()
    exact = has_value and events["value"].dtype != pl.Float32
    value_type = pl.Float64 if exact else pl.Float32
    values = events["value"].cast(value_type).fill_null(np.nan).to_numpy() if has_value else None
    behaviours = events["behaviour"] if "behaviour" in events.columns else None
    coder = EventCoder(None, np.float64 if exact else np.float32, behaviours is not None)
    times_s = events["timestamp_s"].to_numpy()
    coder.add(events["user_id"], events["item_id"], times_s, values, behaviours=behaviours)
    return coder.finish()[0]


def _numbered(ids: pl.Series, kept: NDArray[np.bool_]) -> tuple[pl.Series, NDArray[np.int32]]:
    """Returns the kept ids in rising order, and the number of each code: -1 if it is not kept."""
    codes = np.flatnonzero(kept)
    some = ids if len(codes) == len(ids) else ids.gather(codes)
    order = some.arg_sort().to_numpy()
    numbers = np.full(len(ids), -1, np.int32)
    numbers[codes[order]] = np.arange(len(codes), dtype=np.int32)
    return some.gather(order), numbers


def _added(counts: NDArray[np.int64], more: NDArray[np.int64]) -> NDArray[np.int64]:
    """Adds two arrays of counts; the shorter one is extended by zeros."""
    total = np.zeros(max(len(counts), len(more)), np.int64)
    total[: len(counts)] += counts
    total[: len(more)] += more
    return total
