"""From numbered events to the flat arrays of a log on disk, a range of users at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
"""Events that are sorted at once in a log that is sorted by way of the disk."""

WHOLE_ROWS = 1 << 22
"""A log of so many events is sorted in memory: writing it down first would cost more than the sorting."""

_PER_EVENT = {
    "event_items": np.int32,
    "event_times_s": np.int64,
    "event_values": np.float32,
    "basket_offsets": np.int64,
    "basket_users": np.int32,
    "basket_times_s": np.int64,
}
"""Arrays that grow with the events; they are written as they come."""


def write_arrays(
    events: CodedEvents, folder: Path, progress: Callable[[str], None] = lambda line: None
) -> tuple[dict[str, dict[str, Any]], int]:
    """Sorts, merges and shuffles the events and writes the arrays of :class:`~seasonrec.data.log.EventLog`.

    All but ``item_categories``. The events are used up: their rows are gone afterwards. The result depends on the set
    of rows alone, not on their order in the source, nor on the number of buckets in which they were sorted.

    Args:
        events: The events.
        folder: Where ``name.npy`` is written for each array; buckets lie here for a while.
        progress: Receives a line now and then.

    Returns:
        ``(specs, merged)``: type and shape of each array by name; rows that repeated another.
    """
    files = {name: ArrayFile(folder / f"{name}.npy", dtype) for name, dtype in _PER_EVENT.items()}
    events_of = np.zeros(len(events.users) + 1, np.int64)
    baskets_of = np.zeros(len(events.users) + 1, np.int64)
    first_seen_s = np.full(len(events.items), np.iinfo(np.int64).max)
    written = 0
    for part in _shuffled_parts(_buckets(events, folder)):
        _append(files, part, written)
        _count(events_of, part.user)
        _count(baskets_of, part.user[part.first])
        np.minimum.at(first_seen_s, part.item, part.time_s)
        written += len(part.user)
        progress(f"sorted {written:,} events")
    files["basket_offsets"].append(np.array([written]))
    for name, array in {
        "user_offsets": events_of,
        "user_baskets": baskets_of,
        "item_first_seen_s": first_seen_s,
    }.items():
        files[name] = ArrayFile(folder / f"{name}.npy", np.int64)
        files[name].append(array if name == "item_first_seen_s" else np.cumsum(array))
    for file in files.values():
        file.close()
    return {name: file.spec() for name, file in files.items()}, events.num_events - written


def category_codes(items: pl.DataFrame) -> NDArray[np.int32]:
    """Categories numbered in name order; items without one share the first number."""
    if items["category"].null_count() == items.height:
        return np.zeros(items.height, np.int32)
    return (items["category"].fill_null("").rank("dense").cast(pl.Int32) - 1).to_numpy()


def _shuffled_parts(buckets: Iterator[Block]) -> Iterator[SortedEvents]:
    """Each bucket sorted, merged and shuffled; the next ones are sorted meanwhile."""
    random = np.random.default_rng(TIE_SEED)
    sorted_parts = in_order(lambda bucket: merged(*bucket), buckets)
    with_lots = ((part, random.random(len(part.user))) for part in sorted_parts)  # drawn one after the other
    yield from in_order(lambda both: shuffled(*both), with_lots)


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
    """Counts the rows of each user, one place to the right, so that the running sum gives the offsets."""
    low, high = int(user[0]), int(user[-1])
    rows_of[low + 1 : high + 2] += np.bincount(user - low, minlength=high - low + 1)


def _buckets(events: CodedEvents, folder: Path) -> Iterator[Block]:
    """The events by rising ranges of users, as blocks that fit into memory together with what sorting needs."""
    if events.num_events <= WHOLE_ROWS:
        whole = Spool(events.dtypes, None)
        for block in events.blocks():
            whole.append(*block)
        events.rows.clear()
        yield from _halves(whole.take(), events.user_counts)
        return
    before = np.cumsum(events.user_counts) - events.user_counts
    bucket_of = np.unique(before // BUCKET_ROWS, return_inverse=True)[1].astype(np.uint16)
    buckets = [Spool(events.dtypes, folder / f"bucket{number}", 0) for number in range(int(bucket_of[-1]) + 1)]
    for block in events.blocks():
        _scatter(block, bucket_of[block[0]], buckets)
    events.rows.clear()
    for bucket in buckets:
        yield bucket.take()


def _halves(block: Block, user_counts: NDArray[np.int64]) -> Iterator[Block]:
    """The rows of the first users and those of the others, about as many, so that both can be sorted at once."""
    middle = np.searchsorted(np.cumsum(user_counts), len(block[0]) // 2, side="right")
    low = block[0] < middle
    for half in (low, ~low):
        if half.any():
            yield tuple(column[half] for column in block)


def _scatter(block: Block, bucket: NDArray[np.uint16], buckets: list[Spool]) -> None:
    """Hands each row of a block to its bucket, the rows of one bucket in their order."""
    order = np.argsort(bucket, kind="stable")  # a radix sort for 16 bits
    columns = [column[order] for column in block]
    ends = np.cumsum(np.bincount(bucket, minlength=len(buckets)))
    for number in np.unique(bucket).tolist():
        rows = slice(int(ends[number - 1]) if number else 0, int(ends[number]))
        buckets[number].append(*(column[rows] for column in columns))
