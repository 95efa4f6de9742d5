"""Trials: forecasts of one forecaster at rolling origins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from seasonrec.forecast.base import Forecast, Forecaster
from seasonrec.forecast.groups import GROUPS
from seasonrec.forecast.metrics import recall_of_best
from seasonrec.forecast.origins import Origin

TOPS = (20, 50)
"""Lengths of the lists of what will sell best."""

LISTS = {
    "origin": pl.Int64, "step": pl.Int64, "group": pl.String, "k": pl.Int64, "recall": pl.Float64, "sellers": pl.Int64,
}  # fmt: skip


@dataclass(frozen=True)
class Trial:
    """Results of one forecaster and seed over all origins.

    Args:
        cells: ``origin, series, step, actual, mean, q..., scale`` of the chosen series.
        lists: ``origin, step, group, k, recall, sellers``.
        notes: Notes of each origin.
        seconds: Seconds of fits and forecasts.
        last: Forecast from the end of the log; None if not asked.
    """

    cells: pl.DataFrame
    lists: pl.DataFrame
    notes: list[dict[str, int]]
    seconds: float
    last: Forecast | None


def run_trial(
    forecaster: Forecaster,
    origins: list[Origin],
    end: Origin | None,
    seed: int,
    progress: Callable[[str], None],
) -> Trial:
    """Fits a forecaster at the first origin, or at each, and forecasts at all of them.

    Args:
        forecaster: The forecaster.
        origins: Origins in order of time.
        end: The end of the log, where the coming periods are forecast; None to leave that out.
        seed: Seed of the fits.
        progress: Receives lines.
    """
    cells, notes, last = [], [], None
    lists: list[dict[str, Any]] = []
    begun_s = time.perf_counter()
    for place, origin in enumerate([*origins, *([end] if end else [])]):
        is_end = place == len(origins)

        def told(line: str, title: str = "the end" if is_end else f"origin {place + 1} of {len(origins)}") -> None:
            progress(f"{title}: {line}")

        history = replace(origin.history, progress=told)
        if place == 0 or forecaster.refits:
            forecaster.fit(history if forecaster.forecasts_all else history.of(origin.chosen), seed)
        found = origin.forecast(forecaster, history)
        if is_end:
            last = found
            continue
        cells.append(_cells(origin, found, place))
        lists.extend(_lists(origin, found, place))
        notes.append(dict(found.notes))
        told("done")
    seconds = time.perf_counter() - begun_s
    return Trial(pl.concat(cells), pl.DataFrame(lists, schema=LISTS), notes, seconds, last)

    return replace(history, progress=progress)


def _cells(origin: Origin, found: Forecast, place: int) -> pl.DataFrame:
    chosen, horizon = origin.chosen, origin.history.horizon
    actual = origin.actual[chosen].ravel()
    known = ~np.isnan(actual)
    levels = origin.history.levels
    quantiles = found.quantiles[chosen].reshape(-1, len(levels))
    frame = pl.DataFrame(
        {
            "origin": np.full(len(actual), place, dtype=np.int32),
            "series": np.repeat(chosen, horizon).astype(np.int32),
            "step": np.tile(np.arange(1, horizon + 1, dtype=np.int8), len(chosen)),
            "actual": actual,
            "mean": found.mean[chosen].ravel(),
            **{f"q{level:g}": quantiles[:, number] for number, level in enumerate(levels)},
            "scale": np.repeat(origin.scales[chosen], horizon),
        }
    )
    return frame.filter(pl.Series(known))


def _lists(origin: Origin, found: Forecast, place: int) -> Iterator[dict[str, Any]]:
    """Yields the recall of the best sellers one period ahead and at the end of the horizon, over all series."""
    for step in sorted({1, origin.history.horizon}):
        actual, mean = origin.actual[:, step - 1], found.mean[:, step - 1]
        if np.isnan(actual).any():
            continue
        for number, group in enumerate(("all", *GROUPS)):
            inside = np.full(len(actual), True) if group == "all" else origin.groups == number - 1
            sellers = int((actual[inside] > 0).sum())
            for k in [k for k in TOPS if group == "all" or k < inside.sum()]:  # a list of the whole group says nothing
                recall = recall_of_best(actual[inside], mean[inside], k) if sellers else float("nan")
                yield {"origin": place, "step": step, "group": group, "k": k, "recall": recall, "sellers": sellers}
