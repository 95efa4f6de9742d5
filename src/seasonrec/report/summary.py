"""Summary of a report for a terminal: its main columns in a frame, the answer in one sentence, the picture to open."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seasonrec.evaluation.known_truth.kinds import ORACLE
from seasonrec.evaluation.results.targets import lower_is_better
from seasonrec.evaluation.statistics.measured import FEWEST_SEEDS
from seasonrec.report.comparisons import spell_p
from seasonrec.report.render import cell_words, column_title
from seasonrec.report.seed_notes import WARNING
from seasonrec.report.selection import AA_ROW, Selection
from seasonrec.report.tables import Grid, GridRow, digits
from seasonrec.report.wrong_dates import DateWorth
from seasonrec.terminal import PlainConsole, plain

WIDTH = 100
"""Most columns of text that the framed table takes."""

PICTURES = ("figure_effects.png", "figure_weeks.png")
"""Figures by what they say of the study's question, most first."""

MOST_NAMES = 6
"""Rows that a sentence names; of more it says how many."""


@dataclass(frozen=True)
class Report:
    """A written report.

    Args:
        selection: What it shows.
        grid: Its table.
        compared: Its comparisons, see :func:`~seasonrec.report.comparisons.comparison_table`.
        files: Its files.
        worth: What the date is worth to the reference; None if the study has no wrong dates.
    """

    selection: Selection
    grid: Grid
    compared: pl.DataFrame
    files: tuple[Path, ...]
    worth: DateWorth | None = None


def show(report: Report, console: Console) -> None:
    """Prints the framed table, the answer to the study's question, and where to read on."""
    width = min(WIDTH, console.width) if console.is_terminal else WIDTH
    table, left_out = framed(report, width)
    PlainConsole(file=console.file, width=width).print(table)  # a console that is no terminal has 80 columns
    folder = report.files[0].parent
    picture = next(path for name in PICTURES for path in report.files if path.name == name)
    more = f" ({left_out} more columns there)" if left_out else ""
    for line in (
        answer(report),
        *([report.worth.sentence()] if report.worth else []),
        *(note for note in report.grid.notes if not note.startswith("Made by")),
        f"Open first: {picture}; the whole table: {folder / 'table.md'}{more}; every difference with its interval and "
        f"p-value: {folder / 'comparisons.md'}.",
    ):
        style = "bold red" if line.startswith(WARNING) else None
        console.print(plain(line), markup=False, highlight=False, soft_wrap=True, style=style)


def framed(report: Report, width: int) -> tuple[Table, int]:
    """Returns the main columns of the table in a frame, and the number of columns that found no room.

    The metrics of the first slice come first, then the metric of the figures on the other slices.

    Args:
        report: The report.
        width: Columns of text.
    """
    grid, selection = report.grid, report.selection
    first = [column for column in grid.columns if column[0] == selection.slices[0]]
    main = [*first, *(c for c in grid.columns if c not in first and c[1] == selection.figure_metric)]
    shown = len(main)
    while shown > 1 and _wide(_laid(grid, main[:shown])) > width:
        shown -= 1
    return _laid(grid, main[:shown]), len(grid.columns) - shown


def answer(report: Report) -> str:
    """Returns one sentence: what the reference gains over each row, and over the strongest baseline.

    It speaks of the first slice and of the metric of the figures, and calls a row worse or better only where the
    comparison is marked. With too few seeds for a test it says which row is ahead, and that nothing follows.
    """
    selection = report.selection
    slice_name, metric = selection.slices[0], selection.figure_metric
    lines = {
        line["against"]: line for line in report.compared.filter(slice=slice_name, metric=metric).iter_rows(named=True)
    }
    baselines = [row for row in report.grid.rows if row.is_baseline and row.name != ORACLE]
    rows = [row.name for row in report.grid.rows if not row.is_baseline and row.name in lines]
    if selection.aa:
        rows = [name for name in rows if name != AA_ROW]
    if not lines:
        return f"{selection.question} Only {selection.reference} has results, so nothing is compared."
    said = _verdicts(rows, lines)
    if baselines and selection.reference not in {row.name for row in baselines}:
        best = _strongest(baselines, report.grid.columns.index((slice_name, metric)), metric)
        said.append(
            f"{_verdict(lines[best.name])} the strongest baseline, {best.name} ({_difference(lines[best.name])})"
        )
    seeds = max(line["seeds"] for line in lines.values())
    counted = "one seed" if seeds == 1 else f"{seeds} seeds"
    untested = any(line["p_holm"] is None for line in lines.values())
    caveat = f" Fewer than {FEWEST_SEEDS} seeds test nothing: another training may turn it round." if untested else ""
    return (
        f"{selection.question} In {metric} on {slice_name.replace('_', ' ')} ({counted}), {selection.reference} is "
        f"{'; '.join(said)}.{caveat}"
    )


def _laid(grid: Grid, columns: Sequence[tuple[str, str]]) -> Table:
    table = Table(title=grid.title, box=box.ROUNDED)
    table.add_column("row", no_wrap=True)
    for column in columns:
        table.add_column(column_title(column, "\n"), justify="right", no_wrap=True)
    places = [grid.columns.index(column) for column in columns]
    previous = grid.rows[0]
    for row in grid.rows:
        if previous.is_baseline and not row.is_baseline:
            table.add_section()
        cells = [row.cells[place] for place in places]
        table.add_row(row.name, *(Text(cell_words(cell), "bold" if cell.is_best else "") for cell in cells))
        previous = row
    return table


def _wide(table: Table) -> int:
    roomy = PlainConsole(width=10 * WIDTH)
    return table.__rich_measure__(roomy, roomy.options).maximum


def _strongest(rows: Sequence[GridRow], place: int, metric: str) -> GridRow:
    sign = 1 if lower_is_better(metric) else -1
    return min(rows, key=lambda row: sign * row.cells[place].value)


def _verdicts(rows: Sequence[str], lines: dict[str, dict[str, Any]]) -> list[str]:
    by_verdict: dict[str, list[str]] = {}
    for name in rows:
        by_verdict.setdefault(_verdict(lines[name]), []).append(name)
    return [f"{verdict} {_names(names)}" for verdict, names in sorted(by_verdict.items())]


def _verdict(line: dict[str, Any]) -> str:
    if line["p_holm"] is None:
        if not line["difference"]:
            return "level with"
        gain = line["difference"] * (-1 if lower_is_better(line["metric"]) else 1)
        return "ahead of" if gain > 0 else "behind"
    if line["better"] is None:
        return "not distinguishable from"
    return "better than" if line["better"] == line["row"] else "worse than"


def _names(names: Sequence[str]) -> str:
    return f"{len(names)} rows" if len(names) > MOST_NAMES else ", ".join(names)


def _difference(line: dict[str, Any]) -> str:
    places = digits(str(line["metric"]))
    value, low, high = (f"{line[key]:+.{places}f}" for key in ("difference", "low", "high"))
    if math.isnan(line["low"]):
        return f"{value}, too few users for an interval"
    told = "over users only" if line["p_holm"] is None else f"p = {spell_p(line['p_holm'])} after Holm"
    return f"{value} [{low}, {high}], {told}"
