"""Appendix of a report: slices chosen by what was bought, and why no headline shows them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import polars as pl

from seasonrec.evaluation.slices.masks import OUTCOME_SLICES
from seasonrec.report.markdown import pipe_table
from seasonrec.report.render import column_title
from seasonrec.report.rows import Row
from seasonrec.report.tables import SPREAD, digits, long_table, spread_words

WARNING = (
    "Draw no conclusion from a difference on this page. These slices are chosen by what was bought. A mean of a proper "
    "score over them rewards a row that exaggerates: it gets better here and worse over all. This is the forecaster's "
    "dilemma (Lerch, Thorarinsdottir, Ravazzolo and Gneiting, Forecaster's Dilemma: Extreme Events and Forecast "
    "Evaluation, Statistical Science 32(1), 2017). The bits by side ask the same questions by what is known before the "
    "request: `bits_within@hot`, `bits_within@new`, `bits_group@own`. So nothing here is compared or marked."
)

MEANING = {
    "in_season": "targets that sold far above their share of the whole log in the request's own week",
    "novel": "targets that the user had not bought before the end of the known history",
    "repeat": "targets that the user had bought before it",
    "cold_items": "targets with few events before the validation cut",
    "head": "targets among the most bought items of the training part",
    "tail": "all other targets",
    "gap_births": "targets that nobody had bought before the end of the known history, and somebody before the request",
}
"""Meaning of each slice."""


def outcome_table(rows: Sequence[Row], metrics: Sequence[str]) -> pl.DataFrame:
    """Returns the numbers of the slices by outcome, as :func:`~seasonrec.report.tables.long_table` does.

    Rows of other studies, of which only sums by user are known, are left out.
    """
    with_runs = [row for row in rows if row.runs]
    known = with_runs[0].runs[0].events.masks
    return long_table(with_runs, [(name, metric) for name in OUTCOME_SLICES if name in known for metric in metrics])


def outcome_markdown(table: pl.DataFrame) -> str:
    """Returns the warning, and a Markdown table for each slice that has targets."""
    lines = {(line["row"], line["slice"], line["metric"]): line for line in table.iter_rows(named=True)}
    rows, metrics = (table[name].unique(maintain_order=True).to_list() for name in ("row", "metric"))
    parts = [
        f"## {name.replace('_', ' ')}\n\n{MEANING[name][0].upper()}{MEANING[name][1:]}: "
        f"{lines[rows[0], name, metrics[0]]['n']:,}.\n\n"
        + pipe_table(
            ["row", *(column_title((name, metric)) for metric in metrics)],
            [[row, *(_shown(lines[row, name, metric]) for metric in metrics)] for row in rows],
        )
        for name in OUTCOME_SLICES
        if lines.get((rows[0], name, metrics[0]), {"n": 0})["n"]
    ]
    return "\n\n".join(["# Slices by outcome", f"**Warning.** {WARNING}", SPREAD, *parts]) + "\n"


def _shown(line: dict[str, Any]) -> str:
    decimals, half = digits(line["metric"]), (line["high"] - line["low"]) / 2
    if math.isnan(line["value"]):
        return "-"
    return f"{line['value']:.{decimals}f} {spread_words(half, line['seed_sd'], decimals)}".rstrip()
