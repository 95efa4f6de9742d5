"""Tables of an evaluation: metrics of each forecaster, by period ahead, and differences with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import polars as pl

from seasonrec.forecast.comparing import Difference
from seasonrec.forecast.metrics import pinball, summary
from seasonrec.report.markdown import pipe_table

METRICS = ("mae", "rmse", "wape", "mase", "pinball", "scaled_pinball", "coverage")
KEYS = ("forecaster", "seed")


def quantile_names(levels: Sequence[float]) -> list[str]:
    """Returns the columns of the quantiles."""
    return [f"q{level:g}" for level in levels]


def losses(cells: pl.DataFrame, levels: tuple[float, ...]) -> pl.DataFrame:
    """Returns the cells with ``mase`` and ``scaled_pinball``, the losses of single forecasts that are compared."""
    quantiles = cells.select(quantile_names(levels)).to_numpy()
    loss = pinball(cells["actual"].to_numpy(), quantiles, levels)
    return cells.select(
        *KEYS,
        "origin",
        "series",
        mase=(pl.col("actual") - pl.col("mean")).abs() / pl.col("scale"),
        scaled_pinball=pl.Series(loss) / pl.col("scale"),
    )


def metric_table(
    cells: pl.DataFrame, lists: pl.DataFrame, levels: tuple[float, ...], by_step: bool = False
) -> pl.DataFrame:
    """Returns one row for each forecaster, or for each of its periods ahead, with means and deviations over seeds.

    Args:
        cells: Forecasts of all trials, with ``forecaster`` and ``seed``.
        lists: Recalls of all trials.
        levels: Probabilities of the quantiles.
        by_step: Whether there is a row for each period ahead.
    """
    keys = (*KEYS, "step") if by_step else KEYS
    rows = []
    for values, frame in cells.group_by(keys, maintain_order=True):
        arrays = {
            "actual": frame["actual"].to_numpy(),
            "mean": frame["mean"].to_numpy(),
            "quantiles": frame.select(quantile_names(levels)).to_numpy(),
        }
        told = summary(arrays, frame["scale"].to_numpy(), levels)
        rows.append({**dict(zip(keys, values, strict=True)), "n": len(frame), **told})
    found = pl.DataFrame(rows)
    if not by_step:
        found = found.join(recalls(lists), on=KEYS, how="left", maintain_order="left")
    groups = [key for key in keys if key != "seed"]
    names = [name for name in found.columns if name not in (*keys, "n")]
    return found.group_by(groups, maintain_order=True).agg(
        pl.len().alias("seeds"),
        pl.col("n").first(),
        *(pl.col(name).mean() for name in names),
        *(pl.col(name).std().alias(f"{name}_sd") for name in names),
    )


def recalls(lists: pl.DataFrame) -> pl.DataFrame:
    """Returns the mean recalls of each trial, one column for each list that some origin has."""
    step, k = pl.col("step").cast(pl.String), pl.col("k").cast(pl.String)
    named = lists.filter(pl.col("recall").is_not_nan()).with_columns(
        name=pl.format("recall@{} {} +{}", k, pl.col("group"), step)
    )
    mean = named.group_by(*KEYS, "name", maintain_order=True).agg(pl.col("recall").mean())
    return mean.pivot(on="name", index=KEYS, values="recall", maintain_order=True)


def markdown(
    table: pl.DataFrame,
    differences: Sequence[Difference],
    lines: Sequence[str],
    levels: tuple[float, ...],
    horizon: int,
) -> str:
    """Returns the content of ``table.md``.

    Args:
        table: The metrics of each forecaster.
        differences: Differences to the reference.
        lines: Sentences on data and rules.
        levels: Probabilities of the quantiles.
        horizon: Periods ahead.
    """
    columns = [*METRICS, *(f"recall@{k} all +{step}" for step, k in product(sorted({1, horizon}), (20, 50)))]
    columns = [name for name in columns if name in table.columns]
    best = {name: _best(table[name].to_numpy(), name, levels) for name in columns}
    body = [
        [row["forecaster"], *(_shown(row, name, row[name] == best[name]) for name in columns), str(row["seeds"])]
        for row in table.iter_rows(named=True)
    ]
    parts = ["# Forecasts", "", *lines, "", pipe_table(["forecaster", *columns, "seeds"], body), ""]
    parts += ["±: standard deviation of the seeds. " + _meaning(levels, horizon), ""]
    groups = [name for name in table.columns if name.startswith("recall@20") and not name.endswith("_sd")]
    groups = [name for name in groups if " all " not in name]
    if groups:
        lists = [[row["forecaster"], *(_shown(row, name) for name in groups)] for row in table.iter_rows(named=True)]
        parts += ["Lists among the series of a group:", "", pipe_table(["forecaster", *groups], lists), ""]
    if differences:
        head = ["forecaster", "metric", f"less {differences[0].reference}", "95% interval", "p", "unit"]
        parts += [pipe_table(head, [one.cells() for one in differences]), "", differences[0].note, ""]
    return "\n".join(parts)


def _best(values: np.ndarray[tuple[int], np.dtype[np.float64]], name: str, levels: tuple[float, ...]) -> float:
    if name.startswith("recall"):
        return float(np.nanmax(values))
    if name == "coverage":
        return float(values[np.nanargmin(np.abs(values - (levels[-1] - levels[0])))])
    return float(np.nanmin(values))


def _shown(row: dict[str, float | None], name: str, is_best: bool = False) -> str:
    value, deviation = row[name], row.get(f"{name}_sd")
    if value is None or np.isnan(value):
        return "-"
    text = f"**{value:.3f}**" if is_best else f"{value:.3f}"
    return text if deviation is None else f"{text} ±{deviation:.3f}"


def _meaning(levels: tuple[float, ...], horizon: int) -> str:
    return (
        f"Coverage should be {levels[-1] - levels[0]:.2f}. Recall of the best sellers is that of the next period (+1)"
        + (f" and of the last one (+{horizon})." if horizon > 1 else ".")
        + " Forecasts below 0 are 0."
    )
