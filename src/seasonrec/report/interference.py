"""The figure of interference: the cosines between the gradients of tasks that train together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
from matplotlib.axes import Axes

from seasonrec.digests import check, is_expected
from seasonrec.report.style import (
    COLOURS,
    COLUMN_WIDTH_IN,
    FAINT,
    TEXT_WIDTH_IN,
    figure,
    looks,
    quiet_grid,
    save,
    spoken,
)

FILE = "interference.csv"
SCHEMA = {"epoch": pl.Int64, "step": pl.Int64, "task_a": pl.String, "task_b": pl.String, "cosine": pl.Float64}
MOST_POINTS = 24
"""Largest number of points of a line; the measurements are averaged over as many parts of the training."""
MOST_COLUMNS = 3


def read_interference(folders: Sequence[Path]) -> pl.DataFrame | None:
    """Returns the cosines that a row's runs measured, or None: ``run, epoch, step, task_a, task_b, cosine``."""
    found = [
        pl.read_csv(check(folder / FILE, "run the cell again"), schema=SCHEMA).select(
            pl.lit(number).alias("run"), pl.all()
        )
        for number, folder in enumerate(folders)
        if is_expected(folder / FILE)
    ]
    lines = pl.concat(found) if found else pl.DataFrame()
    return lines if lines.height else None


def interference_table(by_row: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """Returns the mean cosine of each pair of tasks in each part of the training, over the runs of a row.

    Args:
        by_row: From :func:`read_interference`, by row.

    Returns:
        ``row, task_a, task_b, step`` (the first of the part of the training), ``cosine, low, high`` (the smallest and
        the largest cosine), ``conflicts`` (the share of cosines below 0), ``n`` measurements.
    """
    return pl.concat([_parts(lines).select(pl.lit(name).alias("row"), pl.all()) for name, lines in by_row.items()])


def interference_figure(stem: Path, table: pl.DataFrame) -> list[Path]:
    """Draws a panel per row with a line per pair of tasks, and returns the files; below zero the tasks conflict.

    With more pairs than colours, the pairs with the lowest mean cosine are shown.

    Args:
        stem: Path without ending.
        table: From :func:`interference_table`, not empty.
    """
    rows = table["row"].unique(maintain_order=True).to_list()
    pairs = _shown(table)
    look = looks([_label(pair) for pair in pairs])
    columns = min(MOST_COLUMNS, len(rows))
    lines = -(-len(rows) // columns)
    width = COLUMN_WIDTH_IN if columns == 1 else TEXT_WIDTH_IN
    with figure(width, 0.5 + 1.6 * lines + 0.12 * len(pairs)) as made:
        panels = made.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for panel, row in zip(panels, rows, strict=False):
            _panel(panel, table.filter(pl.col("row") == row), pairs, look)
            panel.set_title(spoken(row))
        for place, panel in enumerate(panels):
            panel.set_visible(place < len(rows))
            panel.tick_params(labelbottom=place + columns >= len(rows))  # nothing stands below it
        made.supxlabel("step of the optimiser", fontsize=7)
        made.supylabel("cosine of the tasks' gradients", fontsize=7)
        entries = panels[0].get_legend_handles_labels()
        made.legend(*entries, loc="outside upper center", ncols=min(columns, 2), frameon=False)
        return save(made, stem)


def _parts(lines: pl.DataFrame) -> pl.DataFrame:
    steps = int(lines["step"].max()) + 1  # type: ignore[arg-type]  # not empty
    part, cosine = pl.col("step") * MOST_POINTS // steps, pl.col("cosine")
    return (
        lines.group_by("task_a", "task_b", part.alias("part"), maintain_order=True)
        .agg(
            pl.col("step").min(),
            cosine.mean(),
            low=cosine.min(),
            high=cosine.max(),
            conflicts=(cosine < 0).mean(),
            n=pl.len().cast(pl.Int64),
        )
        .drop("part")
        .sort("task_a", "task_b", "step", maintain_order=True)
    )


def _shown(table: pl.DataFrame) -> list[tuple[str, str]]:
    """Returns the pairs of the figure, in the table's order."""
    means = table.group_by("task_a", "task_b", maintain_order=True).agg(pl.col("cosine").mean())
    lowest = pl.col("cosine").rank("ordinal") <= len(COLOURS)
    return means.filter(lowest).select("task_a", "task_b").rows()


def _panel(
    panel: Axes, table: pl.DataFrame, pairs: Sequence[tuple[str, str]], look: dict[str, dict[str, object]]
) -> None:
    quiet_grid(panel, "y")
    panel.axhline(0, color=FAINT, linewidth=0.8, zorder=1)
    for pair in pairs:
        line = table.filter(pl.col("task_a") == pair[0], pl.col("task_b") == pair[1])
        name = _label(pair)
        panel.fill_between(
            line["step"], line["low"], line["high"], color=str(look[name]["color"]), alpha=0.12, linewidth=0
        )
        panel.plot(line["step"], line["cosine"], label=name, linewidth=1.3, markersize=2.6, **look[name])  # type: ignore[arg-type]


def _label(pair: tuple[str, str]) -> str:
    return " and ".join(spoken(name) for name in pair)
