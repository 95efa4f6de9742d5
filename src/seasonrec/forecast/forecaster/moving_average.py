"""The mean of the last periods."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seasonrec.forecast.base import Floats, Forecast, History, UntrainedForecaster, with_errors
from seasonrec.ranges import Length, ranged


@ranged("forecaster.moving_average")
@dataclass
class MovingAverage(UntrainedForecaster):
    """Forecast of the mean of the last periods, or of all since the first sale if these are fewer.

    Quantiles are those of the errors at earlier origins.

    Args:
        window: Number of periods.

    Raises:
        ValueError: If ``window`` is below 1.
    """

    window: Length = 4

    def forecast(self, history: History) -> Forecast:
        return with_errors(history, self._mean)

    def _mean(self, history: History) -> Floats:
        recent = history.values[:, -self.window :]
        age = np.clip(history.known - history.first, 1, recent.shape[1])
        return np.repeat((recent.sum(axis=1) / age)[:, None], history.horizon, axis=1)
