"""Exponential smoothing, with the model chosen for each series."""

from __future__ import annotations

from typing import Any

from seasonrec.forecast.base import Forecast, History, UntrainedForecaster
from seasonrec.forecast.library import forecast_each, require_library, with_season


class ETS(UntrainedForecaster):
    """Exponential smoothing whose error, trend and season are chosen by the corrected criterion of Akaike.

    A series without two cycles has no season. The yearly season of weeks is taken out by MSTL.

    References:
        Hyndman, Koehler, Ord and Snyder, Forecasting with Exponential Smoothing, Springer 2008; ``AutoETS`` of
        statsforecast.
    """

    needs_library = True

    def forecast(self, history: History) -> Forecast:
        models, cycle = require_library("forecaster=ets"), history.cycle

        def make(season: int) -> Any:
            return models.AutoETS(season_length=season, model="ZZZ" if season > 1 else "ZZN")

        return forecast_each(history, lambda has_season: with_season(make, cycle, has_season))
