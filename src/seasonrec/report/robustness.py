"""The figure of robustness: a metric over the size of perturbations and the share of changed events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
from matplotlib.axes import Axes

from seasonrec.data.csv_text import with_formulas
from seasonrec.digests import check
from seasonrec.evaluation.results.targets import lower_is_better
from seasonrec.report.errors import ReportError
from seasonrec.report.style import TEXT_WIDTH_IN, figure, looks, quiet_grid, save, spoken

PANELS = {
    "perturbed": (("adversarial", "random"), "size (share of a vector's norm)"),
    "swapped": (("swap",), "share of events"),
    "dropped": (("drop",), "share of events"),
    "shuffled": (("shuffle",), "share of events"),
}
"""Kinds of trials and unit of the sizes of each panel, by title."""

ROBUSTNESS_METRIC = "ndcg@10"

COLUMNS = ("name", "seed", "fingerprint", "kind", "target", "size", "ndcg@10", "bits", "requests")


def read_trials(paths: Sequence[Path]) -> pl.DataFrame:
    """Returns the trials of several runs from the files of ``seasonrec robustness``.

    Raises:
        ReportError: If there is no file, if a file lacks a column, or if the files are not comparable.
    """
    if not paths:
        raise ReportError("a robustness figure needs at least one robustness.csv, got none; run seasonrec robustness.")
    tables = [_read(path) for path in paths]
    for column in ("fingerprint", "requests", "target"):
        values = [table[column].drop_nulls().unique().sort().to_list() for table in tables]
        if any(value != values[0] for value in values):
            got = ", ".join(f"{path}: {value}" for path, value in zip(paths, values, strict=True))
            raise ReportError(f"robustness tables of one figure must share their {column}, got {got}; run them alike.")
    return pl.concat(tables)


def robustness_curves(trials: pl.DataFrame, metric: str) -> pl.DataFrame:
    """Returns mean and range of a metric over the seeds of each row: ``name, kind, size, value, low, high, seeds``.

    Every kind also has the clean ranking, at size 0.
    """
    clean = trials.filter(kind="clean")
    kinds = [kind for kinds, _ in PANELS.values() for kind in kinds]
    starts = [clean.with_columns(kind=pl.lit(kind)) for kind in kinds if kind in trials["kind"]]
    return (
        pl.concat([*starts, trials.filter(pl.col("kind").is_in(kinds))])
        .group_by("name", "kind", "size", maintain_order=True)
        .agg(
            value=pl.col(metric).mean(),
            low=pl.col(metric).min(),
            high=pl.col(metric).max(),
            seeds=pl.col("seed").n_unique(),
        )
        .sort("kind", "size", maintain_order=True)
    )


def robustness_figure(stem: Path, curves: pl.DataFrame, metric: str) -> list[Path]:
    """Draws a panel for perturbed inputs and one for each way to change a history, and returns the files.

    A line is the mean over seeds and its band their range; random perturbations are dotted.

    Args:
        stem: Path without ending.
        curves: From :func:`robustness_curves`, not empty.
        metric: Name for the axis.
    """
    names = curves["name"].unique(maintain_order=True).to_list()
    shown = {title: panel for title, panel in PANELS.items() if curves["kind"].is_in(panel[0]).any()}
    with figure(TEXT_WIDTH_IN, 2.1) as made:
        panels = made.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axes, (title, (kinds, unit)) in zip(panels, shown.items(), strict=True):
            quiet_grid(axes, "y")
            for name, look in looks(names).items():
                for kind in kinds:
                    _line(axes, curves.filter(name=name, kind=kind), name, look, is_noise=kind == "random")
            axes.set_title(title)
            axes.set_xlabel(unit)
        panels[0].set_ylabel(f"{metric} (lower is better)" if lower_is_better(metric) else metric)
        made.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=5, frameon=False)
        return save(made, stem)


def _line(axes: Axes, curve: pl.DataFrame, name: str, look: dict[str, object], is_noise: bool) -> None:
    if not curve.height:
        return
    style = {**look, "linestyle": (0, (1, 1))} if is_noise else look
    label = f"{spoken(name)}, random" if is_noise else spoken(name)
    axes.fill_between(curve["size"], curve["low"], curve["high"], color=str(look["color"]), alpha=0.18, linewidth=0)
    axes.plot(
        curve["size"], curve["value"], label=label, linewidth=1.2, markersize=3.2, markeredgecolor="white",
        markeredgewidth=0.5, **style,  # type: ignore[arg-type]  # colour, marker, dash
    )  # fmt: skip


def _read(path: Path) -> pl.DataFrame:
    if not path.is_file():
        raise ReportError(f"no robustness table at {path}; run seasonrec robustness checkpoint={path.parent}.")
    check(path, f"run seasonrec robustness checkpoint={path.parent} again")
    table = pl.read_csv(path, schema_overrides={"target": pl.String, "name": pl.String, "fingerprint": pl.String})
    table = with_formulas(table)
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise ReportError(
            f"{path} lacks {', '.join(missing)}; run seasonrec robustness checkpoint={path.parent} again."
        )
    return table.select(COLUMNS).with_columns(pl.col("size", "ndcg@10", "bits").cast(pl.Float64))
