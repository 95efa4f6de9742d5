"""Conversion of events to the flat arrays of a log on disk, one range of users at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seasonrec.data.preparation.array_files import ArrayFile
from seasonrec.data.preparation.coded import CodedEvents
from seasonrec.data.preparation.merging import TIE_SEED, SortedEvents, merged, shuffled
from seasonrec.data.preparation.parallel import in_order
from seasonrec.data.preparation.spool import Block, Spool

BUCKET_ROWS = 1 << 20
"""Events of a bucket; the buckets of a large log are sorted one by one."""

WHOLE_ROWS = 1 << 22
"""Limit of events up to which a log is sorted in memory, without buckets on disk."""

_PER_EVENT = {
    "event_items": np.int32,
    "event_times_s": np.int64,
    "event_values": np.float32,
    "basket_offsets": np.int64,
    "basket_users": np.int32,
    "basket_times_s": np.int64,
}
"""Arrays that grow with the events; they are written in pieces."""


def write_arrays(
    events: CodedEvents, folder: Path, progress: Callable[[str], None] = lambda line: None
) -> tuple[dict[str, dict[str, Any]], int]:
    """Sorts, merges and shuffles the events and writes the arrays of :class:`~seasonrec.data.log.EventLog`.

    ``item_categories`` is not written. The rows of ``events`` are removed. The result depends neither on the order of
    the rows in the source nor on the number of buckets. Temporary buckets lie in the same ``folder``.

    Events with a behaviour give a further array ``event_behaviours``; the same item in two behaviours is two events.

    Returns:
        ``(specs, merged)``: type and shape of each array by name; number of rows that repeated another.
    """
    told = {"event_behaviours": np.uint8} if len(events.behaviours) else {}
    files = {name: ArrayFile(folder / f"{name}.npy", dtype) for name, dtype in {**_PER_EVENT, **told}.items()}
    events_of = np.zeros(len(events.users) + 1, np.int64)
    baskets_of = np.zeros(len(events.users) + 1, np.int64)
    first_seen_s = np.full(len(events.items), np.iinfo(np.int64).max)
    written = 0
    for part in _shuffled_parts(_buckets(events, folder)):
        if told:
            item, behaviour = np.divmod(part.item, events.num_behaviours)
            part = replace(part, item=item)
            files["event_behaviours"].append(behaviour)
        _append(files, part, written)
        _count(events_of, part.user)
        _count(baskets_of, part.user[part.first])
        np.minimum.at(first_seen_s, part.item, part.time_s)
        written += len(part.user)
        progress(f"sorted {written:,} events")
    files["basket_offsets"].append(np.array([written]))
    offsets = {"user_offsets": np.cumsum(events_of), "user_baskets": np.cumsum(baskets_of)}
    for name, array in {**offsets, "item_first_seen_s": first_seen_s}.items():
        files[name] = ArrayFile(folder / f"{name}.npy", np.int64)
        files[name].append(array)
    for file in files.values():
        file.close()
    return {name: file.spec() for name, file in files.items()}, events.num_events - written


def category_codes(items: pl.DataFrame) -> NDArray[np.int32]:
    """Returns the categories numbered in alphabetical order; items without one share the number 0."""
    if items["category"].null_count() == items.height:
        return np.zeros(items.height, np.int32)
    return (items["category"].fill_null("").rank("dense").cast(pl.Int32) - 1).to_numpy()


def _shuffled_parts(buckets: Iterator[Block]) -> Iterator[SortedEvents]:
    """Yields each bucket sorted, merged and shuffled; meanwhile, the next ones are sorted."""
    random = np.random.default_rng(TIE_SEED)
    sorted_parts = in_order(lambda bucket: merged(*bucket), buckets)
    with_draws = ((part, random.random(len(part.user))) for part in sorted_parts)  # drawn in order
    yield from in_order(lambda both: shuffled(*both), with_draws)


def _append(files: dict[str, ArrayFile], part: SortedEvents, before: int) -> None:
    columns: tuple[NDArray[Any], ...] = (
        part.item,
        part.time_s,
        part.value,
        part.first + before,
        part.user[part.first],
        part.time_s[part.first],
    )
    for name, column in zip(_PER_EVENT, columns, strict=True):
        files[name].append(column)


def _count(rows_of: NDArray[np.int64], user: NDArray[np.integer]) -> None:
    """Adds the rows of each user at the place after the user, so that the running sum gives the offsets."""
    low, high = int(user[0]), int(user[-1])
    rows_of[low + 1 : high + 2] += np.bincount(user - low, minlength=high - low + 1)


def _buckets(events: CodedEvents, folder: Path) -> Iterator[Block]:
    """Yields the events by rising ranges of users, in blocks that can be sorted in memory."""
    if events.num_events <= WHOLE_ROWS:
        whole = Spool(events.block_types, None)
        for block in events.blocks():
            whole.append(*block)
        events.rows.clear()
        yield from _halves(whole.take(), events.user_counts)
        return
    before = np.cumsum(events.user_counts) - events.user_counts
    bucket_of = np.unique(before // BUCKET_ROWS, return_inverse=True)[1].astype(np.uint16)
    buckets = [Spool(events.block_types, folder / f"bucket{number}", 0) for number in range(int(bucket_of[-1]) + 1)]
    for block in events.blocks():
        _scatter(block, bucket_of[block[0]], buckets)
    events.rows.clear()
    for bucket in buckets:
        yield bucket.take()


def _halves(block: Block, user_counts: NDArray[np.int64]) -> Iterator[Block]:
    """Yields two blocks of about equal size, the first and the other users, so that they are sorted in parallel."""
    middle = np.searchsorted(np.cumsum(user_counts), len(block[0]) // 2, side="right")
    low = block[0] < middle
    for half in (low, ~low):
        if half.any():
            yield tuple(column[half] for column in block)


def _scatter(block: Block, bucket: NDArray[np.uint16], buckets: list[Spool]) -> None:
    """Appends each row of a block to its bucket, in order."""
    order = np.argsort(bucket, kind="stable")  # a radix sort for 16 bits
    columns = [column[order] for column in block]
    ends = np.cumsum(np.bincount(bucket, minlength=len(buckets)))
    for number in np.unique(bucket).tolist():
        rows = slice(int(ends[number - 1]) if number else 0, int(ends[number]))
        buckets[number].append(*(column[rows] for column in columns))
