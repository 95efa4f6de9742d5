"""Results by basket, the source of every table and test.

A results frame has one row per basket, in the order of the log. The columns of the basket are ``user`` (i32),
``user_id``, ``basket`` (i64), ``request_time_s`` (i64), ``day``, ``week`` (local, Monday), ``month`` (i8), ``window``
(holiday window, null on ordinary days), ``cold_user``, and ``user.NAME`` for each attribute of the users that makes
slices. Lists over its targets are ``items``, ``greater``, ``ties`` (i32), ``bits`` (f32), ``repeat``, ``in_season``,
``cold_item`` and ``head`` (bool). A target that is no candidate has 0 ties and NaN bits. ``top_items`` are the best
candidates in order. Frames of this version also have the lists of :mod:`seasonrec.evaluation.groups.columns`, and
``gap_birth`` (bool) if histories end before their requests.

Items and users are numbers of the prepared log. ``items.parquet`` beside the file has the id of each number of an item
(``item`` i32, ``item_id``), so that the results can be read without the log.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seasonrec.atomic import writing
from seasonrec.batches.splits import Part
from seasonrec.digests import check
from seasonrec.errors import UserError
from seasonrec.evaluation.groups.columns import group_columns_in, has_groups
from seasonrec.evaluation.groups.summary import summarise_groups
from seasonrec.evaluation.results.targets import RankedEvents, basket_metrics, event_metrics
from seasonrec.evaluation.slices.masks import GAP_BIRTH
from seasonrec.evaluation.slices.user_groups import group_columns

BASKET_COLUMNS = ("user", "user_id", "basket", "request_time_s", "day", "week", "month", "window", "cold_user")
TARGET_COLUMNS = ("items", "greater", "ties", "bits", "repeat", "in_season", "cold_item", "head")
COLUMNS = (*BASKET_COLUMNS, *TARGET_COLUMNS, "top_items")
METADATA = ("name", "seed", "fingerprint", "num_items")
ITEMS = "items.parquet"
"""File with the ids of the items."""

START = "start_"
"""Prefix of a further task's metrics in ``metrics.json`` for the baseline of its head."""


class NoResultsError(UserError, FileNotFoundError):
    """A folder without results."""


@dataclass(frozen=True)
class RunResults:
    """Results of one row and one seed.

    Args:
        name: Row of the table, for example ``full`` or ``popularity``.
        seed: Seed of the run; 0 if nothing is random.
        fingerprint: See :func:`~seasonrec.evaluation.protocol.fingerprint`.
        num_items: Items of the catalogue.
        frame: One row per basket; this module's docstring lists the columns.
        part: Evaluated part of the log.
    """

    name: str
    seed: int
    fingerprint: str
    num_items: int
    frame: pl.DataFrame
    part: Part = "test"

    @cached_property
    def events(self) -> RankedEvents:
        """Targets as flat arrays."""
        return RankedEvents.of(self.frame)

    def record(self, top_ks: Iterable[int]) -> dict[str, object]:
        """Returns the content of ``metrics.json`` for these results.

        ``unavailable`` counts the targets that are no candidates, ``gap_births`` those first sold between the end of
        the history and the request, and ``ceilings`` are the best possible means of the metrics of targets. ``groups``
        exists if the frame has the columns of partitions.
        """
        top_ks = tuple(top_ks)
        groups = {"groups": summarise_groups(self.frame)} if has_groups(self.frame) else {}
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "seed": self.seed,
            "part": self.part,
            "unavailable": self.events.unavailable,
            "gap_births": self.events.gap_births,
            "ceilings": self.events.ceilings(top_ks),
            "slices": summarise(self.events, top_ks),
            "coverage": coverage(self.frame, top_ks, self.num_items),
            **groups,
        }


def write_results(path: Path, results: RunResults) -> None:
    """Writes the frame atomically, with the other fields as metadata of the file."""
    metadata = {key: str(getattr(results, key)) for key in (*METADATA, "part")}
    gap_birth = {GAP_BIRTH} & set(results.frame.columns)
    columns = (*COLUMNS, *group_columns(results.frame), *group_columns_in(results.frame), *gap_birth)
    with writing(path) as temporary:
        results.frame.select(columns).write_parquet(temporary, metadata=metadata)


def write_items(path: Path, item_ids: pl.Series) -> None:
    """Writes the ids of the items by their numbers, atomically.

    Args:
        path: The file.
        item_ids: Ids in the order of the numbers.
    """
    numbers = pl.int_range(len(item_ids), dtype=pl.Int32, eager=True)
    with writing(path) as temporary:
        pl.DataFrame({"item": numbers, "item_id": item_ids}).write_parquet(temporary)


def read_results(path: Path) -> RunResults:
    """Reads results that :func:`write_results` wrote; those of older versions have no columns of partitions.

    Raises:
        NoResultsError: If there is no such file.
        ValueError: If the file differs from its digest, is no Parquet file, or lacks a column or its metadata.
    """
    if not path.is_file():
        raise NoResultsError(f"no results at {path}; run the cell again to write them.")
    check(path, f"write it again with seasonrec evaluate checkpoint={path.parent}, or run the cell again")
    try:
        metadata, frame = pl.read_parquet_metadata(path), pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise UserError(f"{path} cannot be read as Parquet ({error}); run the cell again.") from error
    missing = [name for name in METADATA if name not in metadata] + [c for c in COLUMNS if c not in frame.columns]
    if missing:
        raise UserError(
            f"{path} lacks {', '.join(missing)}; it is no results file of this version; run the cell again."
        )
    name, seed, fingerprint, num_items = (metadata[key] for key in METADATA)
    part: Part = "validation" if metadata.get("part") == "validation" else "test"
    return RunResults(name, int(seed), fingerprint, int(num_items), frame, part)


class UserSums(NamedTuple):
    """Sums of a metric by user, the unit of the bootstrap.

    Args:
        users: ``(U,)`` int64 user numbers, ascending, of the users with an entry in the slice.
        sums: ``(U,)`` float64.
        counts: ``(U,)`` int64 numbers of targets or baskets in each sum.
    """

    users: NDArray[np.int64]
    sums: NDArray[np.float64]
    counts: NDArray[np.int64]


def user_sums(events: RankedEvents, slice_name: str, metric: str) -> UserSums:
    """Returns the sums of a metric by user within a slice.

    Args:
        events: Targets of a results frame.
        slice_name: See :func:`~seasonrec.evaluation.slices.masks.slice_masks`.
        metric: One of :data:`~seasonrec.evaluation.results.targets.METRIC_NAMES`, with any length of a list.

    Raises:
        KeyError: If there is no such slice or metric.
    """
    owners, values = events.values(slice_name, metric)
    counts = np.bincount(owners)
    users = np.flatnonzero(counts)
    return UserSums(users, np.bincount(owners, values)[users].astype(np.float64), counts[users])


def summarise(events: RankedEvents, top_ks: Iterable[int]) -> dict[str, dict[str, float]]:
    """Returns the means of every metric in every slice.

    Returns:
        ``n`` (targets), ``baskets``, ``users`` and the metrics by slice: means over targets, or over baskets for
        ``basket_`` metrics. A slice without targets has only the three counts, and one without candidates no bits.
    """
    top_ks = tuple(top_ks)
    names = [*event_metrics(top_ks), *basket_metrics(top_ks)]
    table: dict[str, dict[str, float]] = {}
    for slice_name in events.masks:
        chosen = events.slice(slice_name)
        users = len(np.unique(chosen.users))
        counts = {"n": len(chosen.places), "baskets": len(chosen.baskets), "users": users}
        values = {name: chosen.values(name) for name in names}
        means = {name: float(each.mean()) for name, each in values.items() if len(each)}
        table[slice_name] = {**counts, **means}
    return table


def coverage(frame: pl.DataFrame, top_ks: Iterable[int], num_items: int) -> dict[str, float]:
    """Returns ``coverage@k``: the share of the catalogue that is among the first ``k`` of any list."""
    shown = {k: frame["top_items"].list.head(k).explode().drop_nulls().n_unique() for k in top_ks}
    return {f"coverage@{k}": count / num_items for k, count in shown.items()}
