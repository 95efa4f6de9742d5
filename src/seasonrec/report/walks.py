"""Walks of several adaptations that began with the same runs, and their differences to one of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from seasonrec.digests import MANIFEST, is_expected, read_json
from seasonrec.evaluation.results.store import RunResults, UserSums, read_results, user_sums
from seasonrec.evaluation.statistics.bootstrap import Estimate, infer
from seasonrec.evaluation.statistics.measured import Measured, measure, require_one_fingerprint
from seasonrec.evaluation.statistics.significance import BOOTSTRAP, holm, mean_intervals
from seasonrec.report.errors import ReportError

REFERENCE = "static"
"""Row that all others are compared with."""

METRICS = ("bits", "ndcg@10")
ALL = "all"
"""Name of the whole walk among its periods."""

SCHEMA = {
    "row": pl.String, "period": pl.String, "metric": pl.String, "value": pl.Float64, "low": pl.Float64,
    "high": pl.Float64, "difference": pl.Float64, "difference_low": pl.Float64, "difference_high": pl.Float64,
    "p": pl.Float64, "p_holm": pl.Float64, "n": pl.Int64, "seeds": pl.Int64, "fingerprint": pl.String,
}  # fmt: skip


@dataclass(frozen=True)
class Walked:
    """One finished walk.

    Args:
        record: Content of its ``record.json``.
        origins: Rows of its origins, in order.
        results: Results of all its periods.
    """

    record: dict[str, Any]
    origins: tuple[dict[str, Any], ...]
    results: RunResults

    def within(self, period: str) -> RunResults:
        """Returns the results of one period, or of the whole walk."""
        if period == ALL:
            return self.results
        (row,) = (row for row in self.origins if row["origin"] == period)
        first, after = (date.fromisoformat(row[key]) for key in ("origin", "next_origin"))
        return replace(
            self.results, frame=self.results.frame.filter((pl.col("day") >= first) & (pl.col("day") < after))
        )


@dataclass(frozen=True)
class WalkedRow:
    """The walks of one adaptation, ascending by seed."""

    name: str
    walks: tuple[Walked, ...]

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the runs that the walks began with."""
        return tuple(walk.results.seed for walk in self.walks)

    def measured(self, period: str, metric: str) -> Measured:
        """Returns a metric of a period over the seeds."""
        return measure([walk.within(period) for walk in self.walks], ALL, metric)

    def difference(self, other: WalkedRow, period: str, metric: str) -> Measured:
        """Returns the difference to another row, paired by user and by the run that both began with."""
        by_seed = dict(zip(other.seeds, other.walks, strict=True))
        pairs = [(walk.within(period), by_seed[walk.results.seed].within(period)) for walk in self.walks]
        sums = [tuple(user_sums(side.events, ALL, metric) for side in pair) for pair in pairs]
        differences = [UserSums(first.users, first.sums - second.sums, first.counts) for first, second in sums]
        return Measured.of(differences, name=f"{self.name} - {other.name}")

    def mean(self, *path: str) -> float | None:
        """Returns the mean of a number over all origins and seeds that have it."""
        found = []
        for row in (row for walk in self.walks for row in walk.origins):
            value: Any = row
            for key in path:
                value = value.get(key) if isinstance(value, dict) else None
            if value is not None:
                found.append(float(value))
        return float(np.mean(found)) if found else None

    def decisions(self) -> dict[str, int]:
        """Returns how often each fate of an update occurred."""
        found: dict[str, int] = {}
        for row in (row for walk in self.walks for row in walk.origins):
            found[row["decision"]] = found.get(row["decision"], 0) + 1
        return found

    @property
    def seconds(self) -> float:
        """Median seconds of an origin for update and gate; other programs stretch single ones."""
        took = [row["seconds"] for walk in self.walks for row in walk.origins]
        return float(np.median([one.get("update", 0.0) + one.get("gate", 0.0) for one in took]))


def walk_folders(folder: Path) -> list[Path]:
    """Returns the folders of finished walks below a folder, in order of their names.

    Raises:
        DamagedError: If a ``record.json`` is damaged, or missing where its folder's digests name it.
    """
    named = (path.with_name("record.json") for path in folder.rglob(MANIFEST))
    found = {*folder.rglob("record.json"), *filter(is_expected, named)}
    return [path.parent for path in sorted(found) if _is_walk(path)]


def _is_walk(path: Path) -> bool:
    return read_json(path, f"bring it back from a copy, or move {path.parent} elsewhere").get("walk") is True


def read_walks(folders: Sequence[Path], reference: str = REFERENCE) -> list[WalkedRow]:
    """Reads walks as rows, the reference first.

    Raises:
        ReportError: If they do not compare, one is there twice, or the reference lacks a seed of another row.
    """
    by_name: dict[str, dict[int, Walked]] = {}
    for folder in folders:
        walk = _read(folder)
        of_name = by_name.setdefault(walk.record["name"], {})
        if walk.results.seed in of_name:
            raise ReportError(
                f"{folder} is a second walk called {walk.record['name']!r} with seed {walk.results.seed}; give it "
                "another name, or move one of the two."
            )
        of_name[walk.results.seed] = walk
    walks = [walk for of_name in by_name.values() for walk in of_name.values()]
    runs = {walk.record["run"] for walk in walks}
    if len(runs) > 1:
        raise ReportError(f"walks of one table must begin with the seeds of one run, got {', '.join(sorted(runs))}.")
    try:
        require_one_fingerprint([walk.results for walk in walks])
    except ValueError as error:
        raise ReportError(str(error)) from error
    if reference not in by_name:
        raise ReportError(f"the reference {reference!r} has no walk; there are {', '.join(sorted(by_name))}.")
    for name, of_name in by_name.items():
        if missing := set(of_name) - set(by_name[reference]):
            raise ReportError(f"{name} has the seeds {sorted(missing)} and {reference} has not; walk with them too.")
    ordered = [reference, *(name for name in by_name if name != reference)]
    return [WalkedRow(name, tuple(by_name[name][seed] for seed in sorted(by_name[name]))) for name in ordered]


def _read(folder: Path) -> Walked:
    again = "run seasonrec adapt again with the same options"
    record = read_json(folder / "record.json", again)
    rows = [read_json(folder / "origins" / f"{day}.json", again) for day in record["origins"]]
    return Walked(record, tuple(rows), read_results(folder / "results.parquet"))


def adaptation_table(rows: Sequence[WalkedRow]) -> pl.DataFrame:
    """Returns every metric of every row, over the whole walk and by period, with its difference to the first row.

    Returns:
        ``row, period`` (origin, or ``all``)``, metric, value, low, high`` (95%)``, difference`` (row minus
        reference)``, difference_low, difference_high, p, p_holm, n, seeds, fingerprint``. Holm's correction covers the
        whole walks. ``p`` is null with fewer than three seeds; intervals are then over users alone.
    """
    lines = [line for period in (ALL, *_periods(rows)) for metric in METRICS for line in _lines(rows, period, metric)]
    tested = [line for line in lines if line["period"] == ALL and line["p"] is not None]
    for line, p_holm in zip(tested, holm([line["p"] for line in tested]), strict=True):
        line["p_holm"] = float(p_holm)
    return pl.DataFrame(lines, schema=SCHEMA)


def _periods(rows: Sequence[WalkedRow]) -> list[str]:
    return [row["origin"] for row in rows[0].walks[0].origins if row["n"]]


def _lines(rows: Sequence[WalkedRow], period: str, metric: str) -> Iterator[dict[str, Any]]:
    levels = mean_intervals([row.measured(period, metric) for row in rows])
    apart = [row.difference(rows[0], period, metric) for row in rows[1:]]
    found = infer([Estimate(one.sums, one.counts, one.spreads) for one in apart], BOOTSTRAP)
    compared = [None, *zip(apart, found, strict=True)]
    for row, level, difference in zip(rows, levels, compared, strict=True):
        line = {
            "row": row.name, "period": period, "metric": metric, "value": level.value, "low": level.low,
            "high": level.high, "n": level.entries, "seeds": len(row.seeds),
            "fingerprint": row.walks[0].results.fingerprint, "p": None, "p_holm": None,
        }  # fmt: skip
        if difference is not None:
            one, (half, p_value) = difference
            line |= {"difference": one.value, "difference_low": one.value - half, "difference_high": one.value + half}
            line["p"] = p_value if one.covers_seeds and not isnan(p_value) else None
        yield line
