"""The table of a study: every number with its interval, in long form and as a grid for printing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from seasonrec.evaluation.results.targets import LOWER_IS_BETTER
from seasonrec.evaluation.statistics.bootstrap import Bootstrap
from seasonrec.evaluation.statistics.significance import interval
from seasonrec.report.comparisons import SIGNIFICANCE
from seasonrec.report.costs import Cost
from seasonrec.report.rows import Row
from seasonrec.report.selection import Selection

LONG_SCHEMA = {
    "row": pl.String, "slice": pl.String, "metric": pl.String, "value": pl.Float64, "low": pl.Float64,
    "high": pl.Float64, "n": pl.Int64, "seeds": pl.Int64, "fingerprint": pl.String,
}  # fmt: skip

WORSE, BETTER = "†", "‡"
"""Marks of a row that differs from the reference after Holm."""


@dataclass(frozen=True)
class GridCell:
    """One number of the grid.

    Args:
        value: The metric; NaN if the slice is empty.
        half: Half the width of its interval.
        digits: Decimals to print.
        is_best: Whether no row has a better value.
        mark: ``†``, ``‡`` or empty.
    """

    value: float
    half: float
    digits: int
    is_best: bool
    mark: str


@dataclass(frozen=True)
class GridRow:
    """One row of the grid; ``cells`` are in the order of the grid's columns."""

    name: str
    is_baseline: bool
    seeds: int
    cells: tuple[GridCell, ...]
    cost: Cost | None


@dataclass(frozen=True)
class Grid:
    """A table for printing.

    Args:
        title: Name of the study.
        question: Question of the study.
        columns: ``(slice, metric)`` pairs; columns of one slice are neighbours.
        counts: Number of targets (or baskets) of each column.
        rows: Baselines first.
        notes: Sentences below the table.
        costs: Names of the columns of cost.
    """

    title: str
    question: str
    columns: tuple[tuple[str, str], ...]
    counts: tuple[int, ...]
    rows: tuple[GridRow, ...]
    notes: tuple[str, ...]
    costs: tuple[str, ...] = ("minutes", "weights")


def long_table(rows: Sequence[Row], columns: Sequence[tuple[str, str]]) -> pl.DataFrame:
    """Returns one line per number with its 95% interval, rows in the order given.

    Returns:
        ``row, slice, metric, value, low, high, n`` (targets, or baskets for basket metrics)``, seeds, fingerprint``.
    """
    bootstrap = Bootstrap()
    found = {}
    for slice_name, metric in columns:  # columns outermost: one slice's resamples are drawn once for all rows
        for row in rows:
            result = interval(row.runs, slice_name, metric, bootstrap)
            numbers = (result.value, result.low, result.high, result.entries)
            found[row.name, slice_name, metric] = (*numbers, len(row.runs), row.runs[0].fingerprint)
    ordered = [(row.name, *column, *found[row.name, *column]) for row in rows for column in columns]
    return pl.DataFrame(ordered, schema=LONG_SCHEMA, orient="row")


def grid(rows: Sequence[Row], selection: Selection, long: pl.DataFrame, compared: pl.DataFrame) -> Grid:
    """Returns the long table as a grid, with the best of each column and the marks of the comparisons.

    Args:
        rows: Rows in order.
        selection: Columns, reference and texts of the table.
        long: From :func:`long_table`.
        compared: From :func:`~seasonrec.report.comparisons.comparison_table`.
    """
    numbers = {(line["row"], line["slice"], line["metric"]): line for line in long.iter_rows(named=True)}
    marks = _marks(compared)
    columns = tuple(selection.columns)
    best = {column: _best([numbers[row.name, *column]["value"] for row in rows], column[1]) for column in columns}

    def cell(row: Row, column: tuple[str, str]) -> GridCell:
        line = numbers[row.name, *column]
        half, value = (line["high"] - line["low"]) / 2, line["value"]
        return GridCell(value, half, digits(column[1]), value == best[column], marks.get((row.name, *column), ""))

    return Grid(
        selection.name,
        selection.question,
        columns,
        tuple(numbers[rows[0].name, *column]["n"] for column in columns),
        tuple(
            GridRow(row.name, row.is_baseline, len(row.runs), tuple(cell(row, column) for column in columns), row.cost)
            for row in rows
        ),
        notes(rows, selection, compared),
        selection.costs,
    )


def notes(rows: Sequence[Row], selection: Selection, compared: pl.DataFrame) -> tuple[str, ...]:
    """Returns the sentences below the table: budget, protocol, statistics, missing results, and the command."""
    seeds = sorted({seed for row in rows if not row.is_baseline for seed in row.seeds})
    by_seed = "with the same sign in every seed" if len(seeds) > 1 else "with one seed only; another may differ"
    users = f"± is half of the 95% interval, from {Bootstrap.replicates:,} resamples of the users, seeds averaged"
    marked = (
        f"{WORSE} worse and {BETTER} better than {selection.reference}: p < {SIGNIFICANCE} in a paired bootstrap over "
        f"users, after Holm over the {compared.height} comparisons of this table, {by_seed}. Best of a "
        "column in bold"
    )
    improper = [row.name for row in rows if not row.gives_probabilities] if "bits" in selection.metrics else []
    unseen = "Evaluated on the validation part, on which epochs and baselines are chosen: no test result"
    lines = [
        unseen if rows[0].runs[0].part == "validation" else "",
        f"Budget: {selection.note}" if selection.note else "",
        f"Protocol fingerprint {rows[0].runs[0].fingerprint}; seeds {', '.join(map(str, seeds)) or 'none'}",
        users,
        marked if compared.height else "",
        f"The losses of {', '.join(improper)} give no probabilities: compare only their ranking" if improper else "",
        f"No results (failed or not yet run): {', '.join(selection.missing)}" if selection.missing else "",
        f"Made by: {selection.command}" if selection.command else "",
    ]
    return tuple(line if line.endswith((".", "!", "?")) else f"{line}." for line in lines if line)


def digits(metric: str) -> int:
    """Returns the number of decimals that a metric is printed with."""
    return 3 if metric == "bits" else 4


def _marks(compared: pl.DataFrame) -> dict[tuple[str, str, str], str]:
    return {
        (line["against"], line["slice"], line["metric"]): BETTER if line["better"] == line["against"] else WORSE
        for line in compared.drop_nulls("better").iter_rows(named=True)
    }


def _best(values: Sequence[float], metric: str) -> float:
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return math.nan
    return min(known) if metric in LOWER_IS_BETTER else max(known)
