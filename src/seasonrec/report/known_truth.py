"""Distance of every row to the oracle of a generated log: ``oracle.{md,csv}`` and ``oracle_kinds.csv``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from seasonrec.digests import check, is_expected
from seasonrec.evaluation.known_truth.kinds import KINDS, ORACLE, ORACLE_FILE, OVER_DAYS, SUMS
from seasonrec.evaluation.results.store import UserSums
from seasonrec.evaluation.statistics.bootstrap import Estimate, infer
from seasonrec.evaluation.statistics.draws import Bootstrap
from seasonrec.evaluation.statistics.measured import Measured
from seasonrec.report.markdown import pipe_table
from seasonrec.report.rows import Row
from seasonrec.report.wrong_dates import SPOKEN, DateWorth

FROM = "no_season"
"""Row from which the distance to the oracle is measured."""

METRIC = "bits"
PROMOTED = ("promotion", "promotion over", "promotion a year ago")
"""Kinds of items that show whether a row takes a promotion for a season."""

DISTANCE = {
    "row": pl.String, "slice": pl.String, "bits": pl.Float64, "gap": pl.Float64, "closed": pl.Float64,
    "half": pl.Float64, "seeds": pl.Int64,
}  # fmt: skip
OF_KINDS = {
    "row": pl.String, "kind": pl.String, "metric": pl.String, "value": pl.Float64, "half": pl.Float64,
    "requests": pl.Int64, "seeds": pl.Int64,
}  # fmt: skip


def has_oracle(rows: Sequence[Row]) -> bool:
    """Returns True if the oracle and the row from which the distance to it is measured have probabilities.

    Rows that pool several origins have none by kind of item.
    """
    return {FROM, ORACLE} <= set(_with_bits(rows)) and not any(row.origins for row in rows)


def _with_bits(rows: Sequence[Row]) -> dict[str, Row]:
    return {row.name: row for row in rows if row.gives_probabilities and row.runs}


def distance_table(rows: Sequence[Row], slices: Sequence[str]) -> pl.DataFrame:
    """Returns the share of the distance from ``no_season`` to the oracle that each row closes.

    The share of a row is ``(a - b) / (a - o)`` for the bits ``a`` of ``no_season``, ``b`` of the row and ``o`` of the
    oracle. Its interval is that of its linearisation in the three, over users and seeds, see
    :mod:`seasonrec.evaluation.statistics.bootstrap`; over users only if one of the rows has too few seeds.

    Args:
        rows: All rows, the oracle and ``no_season`` among them; a row without probabilities is left out.
        slices: Slices of the table; those without targets are left out.

    Returns:
        ``row, slice, bits, gap`` (bits above the oracle), ``closed, half`` (of the interval of ``closed``; null for the
        two rows between which the distance is measured) and ``seeds``.
    """
    named = _with_bits(rows)
    found = [{name: row.measure(slice_name, METRIC) for name, row in named.items()} for slice_name in slices]
    lines, estimates = [], []
    for slice_name, measured in zip(slices, found, strict=True):
        start, end = measured[FROM], measured[ORACLE]
        for name, own in measured.items() if end.counts.sum() else ():
            closed = (start.value - own.value) / (start.value - end.value)
            lines.append((name, slice_name, own.value, own.value - end.value, closed, None, len(own.seed_values)))
            estimates.append(_linearised(start, own, end))
    halves = [one.half for one in infer(estimates, Bootstrap())]
    ends = pl.col("row").is_in([FROM, ORACLE])
    table = pl.DataFrame(lines, schema=DISTANCE, orient="row")
    return table.with_columns(half=pl.when(~ends).then(pl.Series("half", halves, pl.Float64)).fill_nan(None))


def _linearised(start: Measured, own: Measured, end: Measured) -> Estimate:
    """Returns the closed share as a mean over targets, linear in the bits of the three rows around their values."""
    gap = start.value - end.value
    closed = (start.value - own.value) / gap
    of_start, of_own, of_end = (1 - closed) / gap, -1 / gap, closed / gap
    sums = of_start * start.sums + of_own * own.sums + of_end * end.sums + closed * own.counts
    spreads = [
        replace(one, variance=factor**2 * one.variance, by_user=factor**2 * one.by_user)
        for row, factor in ((start, of_start), (own, of_own))
        for one in row.spreads
    ]
    covered = start.covers_seeds and own.covers_seeds
    return Estimate(sums, own.counts, tuple(spreads) if covered else ())


def kind_table(rows: Sequence[Row]) -> pl.DataFrame:
    """Returns the probability of each kind of item and the bits lost on it, means over the requests.

    Returns:
        ``row, kind, metric`` (``mass``, ``true_mass`` or ``bits_lost``)``, value, half`` (of its 95% interval over
        users and seeds)``, requests`` and ``seeds``; rows without the file of :mod:`seasonrec.evaluation.known_truth`
        are left out.
    """
    lines, estimates = [], []
    for row in rows:
        again = "run the cell again"
        seeds = [pl.read_parquet(check(path, again)) for path in row.known_truth]
        for kind in KINDS if seeds and row.gives_probabilities else ():
            for metric in SUMS:
                by_seed = [_sums(table.filter(kind=kind), metric) for table in seeds]
                one = Measured.of(by_seed, not row.is_baseline, row.name)
                lines.append((row.name, kind, metric, one.value, None, int(one.counts.sum()), len(seeds)))
                estimates.append(Estimate(one.sums, one.counts, one.spreads))
    table = pl.DataFrame(lines, schema=OF_KINDS, orient="row")
    return table.with_columns(
        pl.Series("half", [one.half for one in infer(estimates, Bootstrap())], pl.Float64).fill_nan(None)
    )


def _sums(table: pl.DataFrame, metric: str) -> UserSums:
    return UserSums(*(table[name].to_numpy() for name in ("user", metric, "requests")))


def oracle_markdown(distance: pl.DataFrame, kinds: pl.DataFrame, told: Sequence[DateWorth]) -> str:
    """Returns the tables of ``oracle.md``.

    Args:
        distance: From :func:`distance_table`.
        kinds: From :func:`kind_table`.
        told: What wrong dates cost the reference and the oracle; empty without wrong dates.
    """
    parts = [
        "# Distance to the oracle",
        "The log was generated, so its probabilities are known; `oracle` is their row. *Closed* is the share of the "
        f"distance from `{FROM}` to the oracle that a row closes. ± is half of the 95% interval over users and seeds.",
        _distance(distance),
        "## Bits lost by kind of item",
        "The divergence of a row's probabilities from the true ones, by kind of item: no drawn target is needed. An "
        "item of several kinds is counted under the one that stands furthest to the right.",
        _by_kind(kinds, "bits_lost", KINDS),
        "## Is a promotion taken for a season?",
        f"Probability of the items on promotion, of those whose promotion ended at most {OVER_DAYS} days ago, and of "
        "those that were on promotion at the same date of the year before; `oracle` has the true ones.",
        _by_kind(kinds, "mass", PROMOTED),
        *(["## What a wrong date costs, and what it should", _wrong_dates(told)] if told else []),
    ]
    return "\n\n".join(parts) + "\n"


def _distance(table: pl.DataFrame) -> str:
    slices, rows = (table[name].unique(maintain_order=True).to_list() for name in ("slice", "row"))
    lines = {(line["row"], line["slice"]): line for line in table.iter_rows(named=True)}
    head = ["row", *(f"{name.replace('_', ' ')}: {what}" for name in slices for what in ("bits", "above", "closed"))]
    return pipe_table(head, [[row, *(cell for name in slices for cell in _cells(lines[row, name]))] for row in rows])


def _cells(line: dict[str, Any]) -> tuple[str, str, str]:
    half = "" if line["half"] is None else f" ±{100 * line['half']:.0f}"
    return f"{line['bits']:.3f}", f"{line['gap']:+.3f}", f"{100 * line['closed']:.0f}{half}%"


def _by_kind(table: pl.DataFrame, metric: str, kinds: Sequence[str]) -> str:
    lines = {(line["row"], line["kind"]): line for line in table.filter(metric=metric).iter_rows(named=True)}
    rows = table["row"].unique(maintain_order=True)
    return pipe_table(["row", *kinds], [[row, *(_value(lines[row, kind]) for kind in kinds)] for row in rows])


def _value(line: dict[str, Any]) -> str:
    return f"{line['value']:.4f}" + ("" if line["half"] is None else f" ±{line['half']:.4f}")


def _wrong_dates(told: Sequence[DateWorth]) -> str:
    """Returns the bits that each kind of wrong date costs, a column for each row that was told it."""
    costs = [one.table.filter(pl.col("days") > 0, slice="all", metric=METRIC) for one in told]
    lines = [{(line["kind"], line["days"]): line for line in one.iter_rows(named=True)} for one in costs]
    body = [[SPOKEN[kind], str(days), *(_cost(one[kind, days]) for one in lines)] for kind, days in lines[0]]
    return pipe_table(["wrong date of", "days off", *(f"{one.table['name'][0]}: bits lost" for one in told)], body, 2)


def _cost(line: dict[str, Any]) -> str:
    return f"{line['difference']:+.3f} ±{(line['high'] - line['low']) / 2:.3f}"


def oracle_dates(rows: Sequence[Row]) -> list[DateWorth]:
    """Returns what wrong dates cost the row that was told them, and the oracle; empty without them."""
    paths: list[Path] = [path for row in rows for path in row.wrong_dates]
    beside = paths[0].with_name(ORACLE_FILE) if paths else None
    if beside is None or not is_expected(beside):
        return []
    return [DateWorth.of(paths, ("all",)), DateWorth.of([beside], ("all",))]
