"""The figure of effects: the gain from each section of the method on several slices, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from seasonrec.evaluation.results.targets import lower_is_better
from seasonrec.report.rows import Row
from seasonrec.report.style import COLOURS, FAINT, TEXT_WIDTH_IN, figure, quiet_grid, save, spoken

ROOM = 0.75
"""Free space for the numbers on the right of a panel, as a share of the panel's span."""

PANELS = 0.8
"""Approximate share of the figure's width for its panels; the names of the rows take the rest."""

LETTER_IN, GAP_IN = 0.054, 0.05
"""Width of a letter of a tick's label, and smallest gap between two labels, in inches."""

OUTLIER = 2.0
"""Ratio of the farthest row to the next above which the farthest is drawn at the edge."""


def effect_table(rows: Sequence[Row], compared: pl.DataFrame, metric: str) -> pl.DataFrame:
    """Returns the gain of the reference over each other model row.

    Args:
        rows: Rows of the report.
        compared: From :func:`~seasonrec.report.comparisons.comparison_table`.
        metric: Metric to show.

    Returns:
        ``row, against, slice, effect`` (positive where the reference is better)``, low, high, better, n``. Bits within
        a side stand beside bits, under the slice ``within`` and the name of the side.
    """
    models = [row.name for row in rows if not row.is_baseline]
    sign = -1 if lower_is_better(metric) else 1
    within = pl.col("metric").str.starts_with(f"{metric}_within@")
    shown = compared.filter(((pl.col("metric") == metric) | within) & pl.col("against").is_in(models))
    side = pl.lit("within_") + pl.col("metric").str.strip_prefix(f"{metric}_within@")
    ends = ("low", "high") if sign > 0 else ("high", "low")
    return shown.select(
        "row", "against", slice=pl.when(within).then(side).otherwise("slice"), effect=sign * pl.col("difference"),
        low=sign * pl.col(ends[0]), high=sign * pl.col(ends[1]), better="better", n="n",
    )  # fmt: skip


def effect_figure(stem: Path, table: pl.DataFrame, metric: str) -> list[Path]:
    """Draws a panel per slice with a line per row, and returns the files; filled points carry a mark after Holm.

    Args:
        stem: Path without ending.
        table: From :func:`effect_table`, not empty.
        metric: Name for the axis.
    """
    names = table["against"].unique(maintain_order=True).to_list()
    slices = table["slice"].unique(maintain_order=True).to_list()
    far = farthest(table)
    lowest, highest = np.clip([np.nanmin([*table["low"], 0.0]), np.nanmax([*table["high"], 0.0])], -far, far)
    with figure(TEXT_WIDTH_IN, 1.0 + 0.19 * len(names)) as made:
        panels = made.subplots(1, len(slices), sharex=True, sharey=True, squeeze=False)[0]
        for panel, slice_name in zip(panels, slices, strict=True):
            shown = table.filter(pl.col("slice") == slice_name)
            _panel(panel, shown, names, far)
            panel.set_title(f"{spoken(slice_name)}\n", pad=3)
            panel.annotate(
                f"n = {shown['n'][0]:,}", (0.5, 1), xycoords="axes fraction", xytext=(0, 3.5),
                textcoords="offset points", ha="center", fontsize=6.2, color=FAINT,
            )  # fmt: skip
        panels[0].set_yticks(range(len(names)), [spoken(name) for name in names])
        panels[0].set_ylim(len(names) - 0.5, -0.5)
        limits = (lowest - 0.12 * far, highest + ROOM * (highest - lowest))
        inches = PANELS * TEXT_WIDTH_IN / len(slices) / (limits[1] - limits[0])
        ticks = chosen_ticks(lowest, highest, inches)
        panels[0].set_xticks(list(ticks), list(ticks.values()))
        panels[0].set_xlim(limits)
        reference = spoken(table["row"][0])
        unit = f"{metric} saved" if lower_is_better(metric) else f"{metric} gained"
        legend = f"right of zero, {reference} is better; hollow: carries no mark"
        made.supxlabel(f"{unit} by {reference} against the row; {legend}", fontsize=7)
        return save(made, stem)


def chosen_ticks(lowest: float, highest: float, inches: float) -> dict[float, str]:
    """Returns at most three round numbers, 0 among them, with labels that do not overlap.

    Args:
        lowest: Smallest number; at most 0.
        highest: Largest number; at least 0, and above ``lowest``.
        inches: Length of the axis per unit.
    """
    for nbins in (3, 2, 1):
        values = MaxNLocator(nbins=nbins, min_n_ticks=2).tick_values(lowest, highest)
        ticks = {float(v): f"{v:g}".replace("-", "\N{MINUS SIGN}") for v in values if lowest <= v <= highest}
        if all(
            (second - first) * inches >= LETTER_IN * (len(ticks[first]) + len(ticks[second])) / 2 + GAP_IN
            for first, second in pairwise(ticks)
        ):
            return ticks
    return {0.0: "0"}


def farthest(table: pl.DataFrame) -> float:
    """Returns the largest distance from zero in the panels.

    One very large effect would press all others onto the zero line. If one row lies more than ``OUTLIER`` times as far
    from zero as the next, the panels end with the next, and the farthest is drawn at the edge with its number.
    """
    reach = table.with_columns(far=pl.max_horizontal(pl.col("low").abs(), pl.col("high").abs()))
    by_row = sorted(reach.group_by("against").agg(pl.col("far").max())["far"].drop_nans())
    if not by_row or by_row[-1] == 0:
        return 1.0
    return float(by_row[-2] if len(by_row) > 1 and by_row[-1] > OUTLIER * by_row[-2] > 0 else by_row[-1])


def _panel(panel: Axes, table: pl.DataFrame, names: list[str], far: float) -> None:
    quiet_grid(panel, "x")
    panel.axvline(0, color=FAINT, linewidth=0.8, zorder=1)
    panel.tick_params(axis="y", length=0)
    panel.spines["left"].set_visible(False)
    for line in table.iter_rows(named=True):
        _mark(panel, line, names.index(line["against"]), far)


def _mark(panel: Axes, line: dict[str, Any], place: int, far: float) -> None:
    differs, effect = line["better"] is not None, line["effect"]
    colour = FAINT if not differs else COLOURS[0] if effect > 0 else COLOURS[1]
    beside = panel.get_yaxis_transform()  # across the panel, at the row's height
    panel.text(
        0.99, place, signed(effect), transform=beside, color=colour, fontsize=6.2, ha="right", va="center_baseline"
    )
    if abs(effect) > far:
        panel.plot(np.sign(effect) * far, place, marker=">" if effect > 0 else "<", markersize=4.2, color=colour)
        return
    panel.plot([line["low"], line["high"]], [place, place], color=colour, linewidth=1.4, solid_capstyle="butt")
    face = colour if differs else "white"
    panel.plot(effect, place, marker="o", markersize=4.0, color=colour, markeredgewidth=1.0, markerfacecolor=face)


def signed(effect: float) -> str:
    """Returns an effect with its sign and three decimals; ``0`` if two rows are exactly equal."""
    return f"{effect:+.3f}".replace("-", "\N{MINUS SIGN}") if effect else "0"
