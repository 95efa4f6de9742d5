"""Regression on the calendar, with ARIMA errors."""

from __future__ import annotations

from typing import Any

from seasonrec.forecast.base import Forecast, History, UntrainedForecaster
from seasonrec.forecast.library import LARGEST_OWN_CYCLE, forecast_each, require_library


class ARIMAX(UntrainedForecaster):
    """Regression of each series on known inputs, whose errors are an ARIMA process.

    The inputs are the holidays, the user's events, and sines and cosines of the year if two years are known; see
    :func:`~seasonrec.forecast.inputs.calendar_inputs`. The week of daily series belongs to the ARIMA part.

    References:
        Hyndman and Athanasopoulos, Forecasting: Principles and Practice, third edition, chapter 10; ``AutoARIMA`` of
        statsforecast.
    """

    needs_library = True

    def forecast(self, history: History) -> Forecast:
        models = require_library("forecaster=arimax")
        cycle = history.cycle if history.cycle <= LARGEST_OWN_CYCLE else 1

        def make(has_season: bool) -> Any:
            return models.AutoARIMA(season_length=cycle if has_season else 1)

        return forecast_each(history, make, with_inputs=True)
