"""Autoregressive integrated moving averages, with the orders chosen for each series."""

from __future__ import annotations

from typing import Any

from seasonrec.forecast.base import Forecast, History, UntrainedForecaster
from seasonrec.forecast.library import forecast_each, require_library, with_season


class ARIMA(UntrainedForecaster):
    """ARIMA whose differences are chosen by tests and whose orders by the corrected criterion of Akaike.

    A series without two cycles has no season. The yearly season of weeks is taken out by MSTL.

    References:
        Hyndman and Khandakar, Automatic Time Series Forecasting: The forecast Package for R, Journal of Statistical
        Software 2008; ``AutoARIMA`` of statsforecast.
    """

    needs_library = True

    def forecast(self, history: History) -> Forecast:
        models, cycle = require_library("forecaster=arima"), history.cycle

        def make(season: int) -> Any:
            return models.AutoARIMA(season_length=season)

        return forecast_each(history, lambda has_season: with_season(make, cycle, has_season))
