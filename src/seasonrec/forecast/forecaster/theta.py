"""The theta method."""

from __future__ import annotations

from typing import Any

from seasonrec.forecast.base import Forecast, History, UntrainedForecaster
from seasonrec.forecast.library import forecast_each, require_library, with_season


class Theta(UntrainedForecaster):
    """The best of four theta models: lines through a series with its curvature changed, averaged.

    A series without two cycles has no season. The yearly season of weeks is taken out by MSTL.

    References:
        Assimakopoulos and Nikolopoulos, The Theta Model, International Journal of Forecasting 2000. Fiorucci et al.,
        Models for Optimising the Theta Method, International Journal of Forecasting 2016; ``AutoTheta`` of
        statsforecast.
    """

    needs_library = True

    def forecast(self, history: History) -> Forecast:
        models, cycle = require_library("forecaster=theta"), history.cycle

        def make(season: int) -> Any:
            return models.AutoTheta(season_length=season, decomposition_type="additive")

        return forecast_each(history, lambda has_season: with_season(make, cycle, has_season))
