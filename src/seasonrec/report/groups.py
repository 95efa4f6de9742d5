"""Bits by side of every row, with intervals over users and seeds: ``groups.csv`` and ``groups.md``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seasonrec.evaluation.groups.columns import RANKED, has_groups, sides_of
from seasonrec.evaluation.groups.summary import NDCG, GroupValue, group_values
from seasonrec.evaluation.results.store import RunResults, UserSums
from seasonrec.evaluation.statistics.measured import Measured
from seasonrec.evaluation.statistics.significance import Interval, mean_intervals
from seasonrec.report.markdown import pipe_table
from seasonrec.report.rows import Row
from seasonrec.report.tables import SPREAD, digits, spread_words

Key = tuple[str, str, str]
"""Partition, side (empty for ``bits_group``) and metric."""

Found = dict[tuple[str, str, str, str], dict[str, Any]]
"""Lines of the table by row and key."""

WITHOUT_PROBABILITIES = ("share", NDCG)
"""Metrics of a row whose loss gives no probabilities."""

SCHEMA = {
    "row": pl.String, "partition": pl.String, "side": pl.String, "metric": pl.String, "value": pl.Float64,
    "low": pl.Float64, "high": pl.Float64, "seed_sd": pl.Float64, "users": pl.Int64, "n": pl.Int64, "seeds": pl.Int64,
}  # fmt: skip


def group_table(rows: Sequence[Row]) -> pl.DataFrame:
    """Returns every number of every partition, with the ends of a 95% interval over users and seeds.

    Rows with results of older versions, which have no partitions, are left out. A row without probabilities has no bits
    and no mass.

    Returns:
        ``row, partition, side, metric, value, low, high, seed_sd, users, n`` (targets) and ``seeds``; see
        :class:`~seasonrec.evaluation.groups.summary.GroupValue` for the metrics.
    """
    seeds = {row.name: len(row.runs) for row in rows}
    measured = {
        (row.name, *key): one
        for row in rows
        if row.runs and all(has_groups(run.frame) for run in row.runs)
        for key, one in _of_row(row).items()
    }
    found = zip(measured, mean_intervals(list(measured.values())), strict=True)
    lines = [(*key, *_numbers(one), seeds[key[0]]) for key, one in found]
    return pl.DataFrame(lines, schema=SCHEMA, orient="row")


def _of_row(row: Row) -> dict[Key, Measured]:
    by_seed = [_of_run(run) for run in row.runs]
    return {
        key: Measured.of([sums[key] for sums in by_seed], trained=not row.is_baseline)
        for key in by_seed[0]
        if row.gives_probabilities or key[2] in WITHOUT_PROBABILITIES
    }


def _of_run(run: RunResults) -> dict[Key, UserSums]:
    owners = run.events.users[run.events.basket]  # (M,)
    values = (one for one in group_values(run.frame) if one.chosen.any())
    return {(one.partition, one.side, one.metric): _by_user(one, owners) for one in values}


def _by_user(one: GroupValue, owners: NDArray[np.int64]) -> UserSums:
    chosen = owners[one.chosen]
    counts = np.bincount(chosen)
    users = np.flatnonzero(counts)
    sums = np.bincount(chosen, one.values[one.chosen])[users].astype(np.float64)
    return UserSums(users, sums, counts[users])


def _numbers(one: Interval) -> tuple[float, float | None, float | None, float | None, int, int]:
    low, high = (None if math.isnan(end) else end for end in (one.low, one.high))
    return one.value, low, high, one.seed_sd, one.users, one.entries


def groups_markdown(table: pl.DataFrame) -> str:
    """Returns a Markdown table for every partition, its first line with the true share of the first side."""
    found: Found = {
        (line["row"], line["partition"], line["side"], line["metric"]): line for line in table.iter_rows(named=True)
    }
    rows = table["row"].unique(maintain_order=True).to_list()
    names = table["partition"].unique(maintain_order=True).to_list()
    tables = "\n\n".join(f"## {name}\n\n{_of_partition(name, rows, found)}" for name in names)
    return (
        "# Bits by side\n\nThe bits of every target are those of its side plus those of the item within the side. The "
        "sides are fixed before the request, so a row cannot gain by exaggerating one. *Probability* is the mean "
        "probability that a row gives to a side; compare it with the true share. Ranks within a side leave the items "
        f"of the other out. {SPREAD} `groups.csv` has every number.\n\n"
        f"{tables}\n"
    )


def _of_partition(name: str, rows: Sequence[str], found: Found) -> str:
    first, _ = sides = sides_of(name)
    columns = [("", "bits_group"), (first, "mass"), *((side, "bits_within") for side in sides)]
    columns += [(side, NDCG) for side in sides if name == RANKED]
    share = _shown(found.get((rows[0], name, first, "share")), "share")
    truth = ["*true share*", *(share if metric == "mass" else "" for _, metric in columns)]
    body = [[row, *(_shown(found.get((row, name, *column)), column[1]) for column in columns)] for row in rows]
    return pipe_table(["row", *(_title(*column) for column in columns)], [truth, *body])


def _title(side: str, metric: str) -> str:
    words = side.replace("_", " ")
    return {
        "bits_group": "bits of the side ↓",
        "mass": f"probability of {words}",
        "bits_within": f"bits within {words} ↓",
        NDCG: f"NDCG@10 within {words} ↑",
    }[metric]


def _shown(line: Mapping[str, float] | None, metric: str) -> str:
    if line is None:
        return ""
    decimals = digits(metric)
    half = math.nan if line["low"] is None else (line["high"] - line["low"]) / 2
    return f"{line['value']:.{decimals}f} {spread_words(half, line['seed_sd'], decimals)}".rstrip()
