"""The table of a study: every number with its interval, in long form and as a grid for printing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from seasonrec.evaluation.known_truth.kinds import ORACLE
from seasonrec.evaluation.results.targets import lower_is_better
from seasonrec.evaluation.statistics.significance import mean_intervals
from seasonrec.report.costs import Cost
from seasonrec.report.rows import Row
from seasonrec.report.seed_notes import SIGNIFICANCE, aa_note, few_seeds
from seasonrec.report.selection import AA_ROW, Selection
from seasonrec.report.table_notes import ceiling_note, moved_note, origins_note, unavailable_note

LONG_SCHEMA = {
    "row": pl.String, "slice": pl.String, "metric": pl.String, "value": pl.Float64, "low": pl.Float64,
    "high": pl.Float64, "seed_sd": pl.Float64, "n": pl.Int64, "seeds": pl.Int64, "fingerprint": pl.String,
}  # fmt: skip

WORSE, BETTER = "†", "‡"
"""Marks of a row that differs from the reference after Holm."""

SPREAD = (
    "± is half of the 95% interval over users and seeds, s the standard deviation between seeds, both in units of the "
    "last digit: 0.1084 ±12 s 4 is 0.1084 ±0.0012 with a standard deviation of 0.0004."
)
"""Sentence on the numbers beside a value, see :func:`spread_words`."""


@dataclass(frozen=True)
class GridCell:
    """One number of the grid.

    Args:
        value: The metric; NaN if the slice is empty.
        half: Half the width of its interval; NaN if there is none.
        digits: Decimals to print.
        is_best: Whether no row has a better value.
        mark: ``†``, ``‡`` or empty.
        seed_sd: Standard deviation over seeds; None for one seed or a row without training.
    """

    value: float
    half: float
    digits: int
    is_best: bool
    mark: str
    seed_sd: float | None = None


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
        ``row, slice, metric, value, low, high, seed_sd`` (standard deviation over seeds)``, n`` (targets, or baskets
        for basket metrics)``, seeds, fingerprint``.
    """
    keys = [(row, column) for row in rows for column in columns]
    found = mean_intervals([row.measure(*column) for row, column in keys])
    lines = [
        (row.name, *column, one.value, one.low, one.high, one.seed_sd, one.entries, len(row.seeds), row.fingerprint)
        for (row, column), one in zip(keys, found, strict=True)
    ]
    return pl.DataFrame(lines, schema=LONG_SCHEMA, orient="row")


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
    rivals = [row.name for row in rows if row.name != ORACLE]  # nobody can be better than the truth
    best = {column: _best([numbers[name, *column]["value"] for name in rivals], column[1]) for column in columns}

    def cell(row: Row, column: tuple[str, str]) -> GridCell:
        line = numbers[row.name, *column]
        half, value = (line["high"] - line["low"]) / 2, line["value"]
        mark = marks.get((row.name, *column), "")
        return GridCell(value, half, digits(column[1]), value == best[column], mark, line["seed_sd"])

    return Grid(
        selection.name,
        selection.question,
        columns,
        tuple(numbers[rows[0].name, *column]["n"] for column in columns),
        tuple(
            GridRow(row.name, row.is_baseline, len(row.seeds), tuple(cell(row, column) for column in columns), row.cost)
            for row in rows
        ),
        notes(rows, selection, compared),
        selection.costs,
    )


def notes(rows: Sequence[Row], selection: Selection, compared: pl.DataFrame) -> tuple[str, ...]:
    """Returns the sentences below the table: budget, protocol, statistics, missing results, and the command."""
    seeds = sorted({seed for row in rows if not row.is_baseline and row.name != AA_ROW for seed in row.seeds})
    tested = compared.height - compared["p"].null_count()
    marked = (
        f"{WORSE} worse and {BETTER} better than {selection.reference}: p < {SIGNIFICANCE} over users and seeds "
        f"together, after Holm over the {tested} comparisons of this table"
    )
    improper = [row.name for row in rows if not row.gives_probabilities] if "bits" in selection.metrics else []
    unseen = "Evaluated on the validation part, on which epochs and baselines are chosen: no test result"
    lines = [
        unseen if rows[0].runs[0].part == "validation" else "",
        origins_note(rows, selection.partial),
        moved_note(selection.moved),
        f"Budget: {selection.note}" if selection.note else "",
        f"Protocol fingerprint {rows[0].runs[0].fingerprint}; seeds {', '.join(map(str, seeds)) or 'none'}",
        ceiling_note(rows[0].runs[0], [metric for _, metric in selection.columns]),
        unavailable_note(rows[0].runs[0]),
        SPREAD,
        few_seeds(rows),
        marked if tested else "",
        aa_note(selection, rows, compared),
        "Best of a column in bold",
        f"The losses of {', '.join(improper)} give no probabilities: compare only their ranking" if improper else "",
        f"No results (failed or not yet run): {', '.join(selection.missing)}" if selection.missing else "",
        f"Made by: {selection.command}" if selection.command else "",
    ]
    return tuple(line if line.endswith((".", "!", "?")) else f"{line}." for line in lines if line)


def digits(metric: str) -> int:
    """Returns the number of decimals that a metric is printed with."""
    return 3 if metric.startswith("bits") else 4


def spread_words(half: float, seed_sd: float | None, decimals: int) -> str:
    """Returns half of an interval and the standard deviation over seeds in units of the last digit; empty without both.

    Args:
        half: Half the width of an interval; NaN if there is none.
        seed_sd: Standard deviation over seeds; None if there is none.
        decimals: Decimals of the value.
    """
    words = [] if math.isnan(half) else [f"±{_units(half, decimals)}"]
    return " ".join([*words, *([] if seed_sd is None else [f"s {_units(seed_sd, decimals)}"])])


def _units(number: float, decimals: int) -> str:
    units = number * 10**decimals
    return f"{units:.0f}" if units >= 0.95 or units == 0 else f"{units:.1f}"


def _marks(compared: pl.DataFrame) -> dict[tuple[str, str, str], str]:
    return {
        (line["against"], line["slice"], line["metric"]): BETTER if line["better"] == line["against"] else WORSE
        for line in compared.drop_nulls("better").iter_rows(named=True)
    }


def _best(values: Sequence[float], metric: str) -> float:
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return math.nan
    return min(known) if lower_is_better(metric) else max(known)
