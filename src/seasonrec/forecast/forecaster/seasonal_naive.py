"""The value of the same period one cycle earlier."""

from __future__ import annotations

import numpy as np

from seasonrec.forecast.base import Floats, Forecast, History, UntrainedForecaster, with_errors


class SeasonalNaive(UntrainedForecaster):
    """Forecast that repeats the last cycle: 52 weeks, or the seven days of a week.

    A series that begins less than a cycle before the origin repeats its last value. Quantiles are those of the errors
    at earlier origins.
    """

    def forecast(self, history: History) -> Forecast:
        short = int((history.first > history.known - history.cycle).sum())
        found = with_errors(history, repeated_cycle)
        return Forecast(found.mean, found.quantiles, {"series shorter than a cycle, last value repeated": short})


def repeated_cycle(history: History) -> Floats:
    """Returns ``(S, H)`` values one cycle earlier, or the last value of a series that is younger."""
    known, cycle = history.known, history.cycle
    last = np.repeat(history.values[:, -1:], history.horizon, axis=1)
    if known < cycle:
        return last
    places = known - cycle + np.arange(history.horizon) % cycle
    return np.where((history.first <= known - cycle)[:, None], history.values[:, places], last)
