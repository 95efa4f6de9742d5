"""Sentences of a report on its seeds: rows with too few of them, and the row that must carry no mark."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from seasonrec.evaluation.statistics.measured import FEWEST_SEEDS
from seasonrec.report.rows import Row
from seasonrec.report.selection import AA_ROW, Selection

WARNING = "WARNING:"
"""First word of a sentence that a reader must not miss."""

SIGNIFICANCE = 0.05
"""Level at which a difference is marked, after Holm."""


def few_seeds(rows: Sequence[Row]) -> str:
    """Returns what is missing where rows have too few seeds for a mark; empty if all have enough."""
    few = [row for row in rows if not row.is_baseline and len(row.seeds) < FEWEST_SEEDS]
    if not few:
        return ""
    trained = [row for row in rows if not row.is_baseline]
    named = "" if len(few) == len(trained) else f" ({', '.join(row.name for row in few)})"
    return (
        f"Rows with fewer than {FEWEST_SEEDS} seeds{named} carry no mark and no p-value, and their ± is over users "
        "only: another training may differ by more"
    )


def aa_note(selection: Selection, rows: Sequence[Row], compared: pl.DataFrame) -> str:
    """Returns what the row ``aa`` says of the marks; empty if the report has none."""
    row = next((row for row in rows if row.name == AA_ROW), None)
    if not selection.aa or row is None:
        return ""
    seeds = ", ".join(map(str, row.seeds))
    what = f"{AA_ROW} is {selection.reference} with other seeds ({seeds})"
    lines = compared.filter(pl.col("against") == AA_ROW)
    tested, marked = lines.drop_nulls("p"), lines.drop_nulls("better")
    if not tested.height:
        return f"{what}; too few seeds for a test of the marks"
    if marked.height:
        named = ", ".join(f"{line['slice']} {line['metric']}" for line in marked.iter_rows(named=True))
        return (
            f"{WARNING} {what} and carries a mark in {named}. Equal methods differ here, so no mark of this table "
            "can be trusted: either the statistics are at fault or the seeds are too few; run more seeds"
        )
    small = tested.filter(pl.col("p") < SIGNIFICANCE).height
    return (
        f"{what} and carries no mark, as it must be; before Holm {small} of its {tested.height} comparisons have "
        f"p < {SIGNIFICANCE}, where chance alone gives {SIGNIFICANCE:.0%}"
    )
