"""The figure by week: a metric over the test period, and the gains over a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
from matplotlib.axes import Axes
from matplotlib.dates import date2num

from seasonrec.evaluation.results.targets import lower_is_better
from seasonrec.evaluation.statistics.significance import compare, mean_intervals
from seasonrec.report.rows import Row
from seasonrec.report.selection import AA_ROW, Selection
from seasonrec.report.style import COLUMN_WIDTH_IN, FAINT, figure, looks, quiet_grid, save, spoken

Window = tuple[str, date, date]
"""Name, first and last day."""

SAME_WINDOW_DAYS = 7
"""Largest number of days without a request within a holiday window; after more days, the window is next year's."""

MID_WEEK_DAYS = 3.5
WINDOW_TINTS = ("#FFF1D6", "#E3F1E4", "#ECE7F4")
WEEK_SCHEMA = {
    "row": pl.String, "against": pl.String, "week": pl.Date, "value": pl.Float64, "low": pl.Float64,
    "high": pl.Float64, "n": pl.Int64,
}  # fmt: skip


def week_table(rows: Sequence[Row], base: Row, metric: str) -> pl.DataFrame:
    """Returns a metric by week, and the gain of each row over the base, with 95% intervals and ``n`` targets.

    Lines of the metric have null in ``against``; lines of a gain, positive where the row is better, have the base.
    """
    sign = -1 if lower_is_better(metric) else 1
    others = [row for row in rows if row is not base]
    found: list[tuple[object, ...]] = []
    for week in base.runs[0].frame["week"].unique().sort():
        measured = {row.name: _within(row, week).measure("all", metric) for row in [base, *others]}
        levels = dict(zip(measured, mean_intervals(list(measured.values())), strict=True))
        gains = compare([(measured[row.name], measured[base.name]) for row in others])
        by_name = dict(zip([row.name for row in others], gains, strict=True))
        for row in rows:
            level = levels[row.name]
            found.append((row.name, None, week, level.value, level.low, level.high, level.entries))
            if row is not base:
                gain = by_name[row.name]
                ends = sorted((sign * gain.low, sign * gain.high))
                found.append((row.name, base.name, week, sign * gain.difference, *ends, gain.entries))
    return pl.DataFrame(found, schema=WEEK_SCHEMA, orient="row")


def week_figure(stem: Path, table: pl.DataFrame, windows: Sequence[Window], metric: str) -> list[Path]:
    """Draws the metric by week above, the gains below and holiday windows shaded, and returns the files.

    Args:
        stem: Path without ending.
        table: From :func:`week_table`.
        windows: Holiday windows, see :func:`holiday_windows`.
        metric: Name for the axis.
    """
    levels, gains = table.filter(pl.col("against").is_null()), table.filter(pl.col("against").is_not_null())
    names = levels["row"].unique(maintain_order=True).to_list()
    with figure(COLUMN_WIDTH_IN, 3.5 if gains.height else 2.2) as made:
        panels = made.subplots(2, 1, sharex=True, height_ratios=(1.25, 1)) if gains.height else [made.subplots()]
        look = looks(names)
        for panel in panels:
            _shade(panel, windows)
            quiet_grid(panel, "y")
        for name in names:
            _line(panels[0], levels.filter(pl.col("row") == name), name, look[name], banded=False)
            if gains.height:
                _line(panels[1], gains.filter(pl.col("row") == name), name, look[name], banded=True)
        lower = lower_is_better(metric)
        panels[0].set_ylabel(f"{metric} (lower is better)" if lower else metric)
        _name_windows(panels[0], windows)
        if gains.height:
            panels[1].axhline(0, color=FAINT, linewidth=0.8, zorder=1)
            panels[1].set_ylabel(f"{metric} {'saved' if lower else 'gained'} over\n{spoken(gains['against'][0])}")
        weeks = levels["week"].unique().sort().to_list()
        panels[-1].set_xticks([_place(week) for week in weeks], _week_labels(weeks))
        panels[-1].set_xlim(_place(weeks[0]), _place(weeks[-1]) + 7)
        panels[-1].set_xlabel("week from Monday")
        made.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
        return save(made, stem)


def chosen_rows(rows: Sequence[Row], selection: Selection) -> list[Row]:
    """Returns the selected rows, or else the reference, the first ablation and the baseline reference."""
    by_name = {row.name: row for row in rows if row.runs}
    others = (selection.reference, AA_ROW)
    ablations = [row.name for row in rows if row.runs and not row.is_baseline and row.name not in others]
    default = (selection.reference, *ablations[:1], selection.baseline_reference)
    return [by_name[name] for name in selection.figure_rows or default if name in by_name]


def holiday_windows(row: Row) -> list[Window]:
    """Returns each holiday window of each year with a request, in order of time."""
    days = row.runs[0].frame.drop_nulls("window").select("window", "day").unique().sort("window", "day")
    begins = (pl.col("day").diff() > timedelta(days=SAME_WINDOW_DAYS)).fill_null(True).over("window")
    return (
        days.with_columns(year=begins.cum_sum().over("window"))
        .group_by("window", "year")
        .agg(first=pl.col("day").min(), last=pl.col("day").max())
        .sort("first", "window")
        .select("window", "first", "last")
        .rows()
    )


def _within(row: Row, week: date) -> Row:
    runs = tuple(replace(run, frame=run.frame.filter(pl.col("week") == week)) for run in row.runs)
    return replace(row, runs=runs)


def _place(day: date) -> float:
    return float(date2num(day))  # type: ignore[no-untyped-call]  # matplotlib's


def _week_labels(weeks: Sequence[date]) -> list[str]:
    """Returns the day of each week's Monday, with the month's name at the first week of a month."""
    starts = [True, *(week.month != before.month for before, week in pairwise(weeks))]
    return [f"{week.day}\n{week:%b}" if new else f"{week.day}\n" for week, new in zip(weeks, starts, strict=True)]


def _line(panel: Axes, table: pl.DataFrame, name: str, look: dict[str, object], banded: bool) -> None:
    if not table.height:
        return
    places = [_place(week) + MID_WEEK_DAYS for week in table["week"]]
    if banded:
        panel.fill_between(places, table["low"], table["high"], color=str(look["color"]), alpha=0.18, linewidth=0)
    panel.plot(
        places, table["value"], label=spoken(name), linewidth=1.3, markersize=3.4, markeredgecolor="white",
        markeredgewidth=0.5, **look,  # type: ignore[arg-type]  # colour, marker, dash
    )  # fmt: skip


def _shade(panel: Axes, windows: Sequence[Window]) -> None:
    for number, (_, first, last) in enumerate(windows):
        stop = _place(last + timedelta(days=1))
        panel.axvspan(_place(first), stop, color=WINDOW_TINTS[number % len(WINDOW_TINTS)], linewidth=0, zorder=0)


def _name_windows(panel: Axes, windows: Sequence[Window]) -> None:
    for name, first, last in windows:
        middle = (_place(first) + _place(last) + 1) / 2
        panel.annotate(
            spoken(name).replace(" ", "\n"), (middle, 1), xycoords=("data", "axes fraction"), xytext=(0, 2),
            textcoords="offset points", ha="center", va="bottom", fontsize=6.5, color=FAINT, linespacing=0.95,
        )  # fmt: skip
