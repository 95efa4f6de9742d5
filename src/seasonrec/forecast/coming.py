"""Files of series and of the forecasts of the periods after the end of the log."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import numpy as np
import polars as pl

from seasonrec.data.calendar import EPOCH
from seasonrec.forecast.rolling import Trial
from seasonrec.forecast.series import Panel
from seasonrec.forecast.tables import quantile_names


def coming_table(panel: Panel, trials: Mapping[tuple[str, int], Trial], levels: tuple[float, ...]) -> pl.DataFrame:
    """Returns ``forecaster, seed, series, period, mean, q...`` of every series that has been sold.

    ``period`` is the date on which a period begins.
    """
    frames = []
    sold = np.flatnonzero(panel.first < panel.num_periods)
    for (name, seed), trial in trials.items():
        assert trial.last is not None
        horizon = trial.last.mean.shape[1]
        dates = [EPOCH + dt.timedelta(days=panel.start_of(panel.num_periods + step)) for step in range(horizon)]
        quantiles = trial.last.quantiles[sold].reshape(-1, len(levels))
        frames.append(
            pl.DataFrame(
                {
                    "forecaster": name,
                    "seed": seed,
                    "series": np.repeat(np.array(panel.names, dtype=object)[sold], horizon).tolist(),
                    "period": dates * len(sold),
                    "mean": trial.last.mean[sold].ravel(),
                    **{column: quantiles[:, place] for place, column in enumerate(quantile_names(levels))},
                }
            )
        )
    return pl.concat(frames).with_columns(pl.selectors.float().round(4))


def long_series(panel: Panel) -> pl.DataFrame:
    """Returns ``number, name, period, value, is_gap`` of every series that has been sold, as made from the log."""
    sold = np.flatnonzero(panel.first < panel.num_periods)
    dates = [EPOCH + dt.timedelta(days=int(day)) for day in panel.starts]
    return pl.DataFrame(
        {
            "number": np.repeat(sold, panel.num_periods).astype(np.int32),
            "name": pl.Series(panel.names)[sold.tolist()].gather(np.repeat(np.arange(len(sold)), panel.num_periods)),
            "period": pl.Series(dates).gather(np.tile(np.arange(panel.num_periods), len(sold))),
            "value": panel.values[sold].ravel(),
            "is_gap": np.tile(panel.is_closed, len(sold)),
        }
    )
