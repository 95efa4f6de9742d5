"""Forecasts of each series by a model of ``statsforecast``."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from seasonrec.errors import UserError
from seasonrec.forecast.base import Floats, Forecast, History

MakeModel = Callable[[bool], Any]
"""Function that makes a model, with a season or without."""

LEAST_CYCLES = 2
"""Cycles of a series from its first sale on for its season to be estimated."""

LARGEST_OWN_CYCLE = 24
"""Longest season that exponential smoothing estimates by itself; a longer one is taken out by MSTL."""


def require_library(asker: str, module: str = "statsforecast.models") -> Any:
    """Imports a module of ``statsforecast``.

    Args:
        asker: Option that needs it, for the error.
        module: Dotted name.

    Raises:
        UserError: If it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise UserError(
            f'{asker}: needs statsforecast, which is not installed ({error}); run pip install "seasonrec[forecast]", '
            "or choose other forecasters and series.fallback=naive."
        ) from error


def forecast_each(history: History, make: MakeModel, with_inputs: bool = False) -> Forecast:
    """Returns the forecast of every series by a model of its own.

    A series that covers two cycles from its first sale on has a season. A series on which the model fails, for example
    because it is constant, repeats its last value.

    Args:
        history: The series.
        make: Maps whether there is a season to a new model.
        with_inputs: Whether the model reads the known inputs.

    Raises:
        UserError: If the model fails on all of several series: then the cause lies in the model, not in a series.
    """
    inputs = history.inputs.until(history.known + history.horizon) if with_inputs else None
    jobs = [
        (history.values[series, first:], None if inputs is None else inputs[first:])
        for series, first in enumerate(np.minimum(history.first, history.known - 1).tolist())
    ]
    seasonal = [len(values) >= LEAST_CYCLES * history.cycle for values, _ in jobs]
    work = (
        delayed(_forecast_one)(make, has_season, values, known, history.horizon, history.levels)
        for (values, known), has_season in zip(jobs, seasonal, strict=True)
    )
    found = list(_told(history, Parallel(n_jobs=history.jobs, return_as="generator")(work)))
    reasons = [reason for _, _, reason in found if reason]
    if len(reasons) == len(found) > 1:
        raise UserError(f"the model fails on all {len(found):,} series, first with: {reasons[0]}; choose another one.")
    shape = (0, history.horizon)
    means = np.stack([mean for mean, _, _ in found]) if found else np.zeros(shape)
    quantiles = np.stack([one for _, one, _ in found]) if found else np.zeros((*shape, len(history.levels)))
    notes = {
        "series with an estimated season": sum(seasonal),
        "series without a season, fewer than two cycles": len(seasonal) - sum(seasonal),
        "series on which the model failed, last value repeated": len(reasons),
    }
    return Forecast(means, quantiles, {**notes, **(history.inputs.notes if with_inputs else {})})


def _told(history: History, results: Iterable[Any]) -> Iterator[Any]:
    """Passes results on and reports how many of the series are done."""
    for number, result in enumerate(results, 1):
        history.progress(f"{number:,} of {len(history.values):,} series")
        yield result


def with_season(make: Callable[[int], Any], cycle: int, has_season: bool) -> Any:
    """Returns a model with a season: its own, or that of a decomposition where the cycle is long.

    A year of weeks has too many seasonal states for the models themselves. MSTL takes it out first and repeats its last
    cycle; the model forecasts what is left.

    Args:
        make: Maps a season's length, 1 for none, to a model.
        cycle: Periods of the cycle.
        has_season: Whether the series is long enough for a season.

    References:
        Bandara, Hyndman and Bergmeir, MSTL, 2021.
    """
    if not has_season or cycle <= LARGEST_OWN_CYCLE:
        return make(cycle if has_season else 1)
    return require_library("a yearly season").MSTL(season_length=cycle, trend_forecaster=make(1))


def _forecast_one(
    make: MakeModel, has_season: bool, values: Floats, inputs: Floats | None, horizon: int, levels: tuple[float, ...]
) -> tuple[Floats, Floats, str]:
    """Returns means ``(H,)``, quantiles ``(H, Q)``, and why the model failed; empty if it did not."""
    last_value = np.full(horizon, values[-1]), np.full((horizon, len(levels)), values[-1])
    arguments: dict[str, Any] = {"y": np.ascontiguousarray(values), "h": horizon}
    if inputs is not None:
        used = np.ptp(inputs[: len(values)], axis=0) > 0  # a constant column beside the mean has no weight
        known = inputs[:, used] if used.any() else None
        if known is not None:
            arguments |= {"X": known[: len(values)], "X_future": known[len(values) :]}
    wanted = sorted({_interval(level) for level in levels} - {0})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library warns of each series that converges slowly
            result = make(has_season).forecast(**arguments, level=wanted)
    except Exception as error:  # the library's own rule for a fallback model: any failure of one series
        return *last_value, f"{type(error).__name__}: {error}"
    mean = np.asarray(result["mean"], dtype=np.float64)
    columns = [np.asarray(result[_column(level)], dtype=np.float64) for level in levels]
    quantiles = np.stack(columns, axis=1)
    if not (np.isfinite(mean).all() and np.isfinite(quantiles).all()):
        return *last_value, "a forecast is not finite"
    return mean, quantiles, ""


def _interval(level: float) -> float:
    """Returns the percentage of the central interval that a quantile bounds, as an integer where it is one."""
    percentage = round(abs(1 - 2 * level) * 100, 6)
    return int(percentage) if percentage == int(percentage) else percentage


def _column(level: float) -> str:
    percentage = _interval(level)
    return f"{'lo' if level < 0.5 else 'hi'}-{percentage}" if percentage else "mean"
