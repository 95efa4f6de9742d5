"""Croston's method, for series that sell rarely."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np

from seasonrec.errors import UserError
from seasonrec.forecast.base import Floats, Forecast, History, UntrainedForecaster, with_errors
from seasonrec.forecast.library import require_library

Variant = Literal["sba", "classic", "optimized"]
CLASSES = {"sba": "CrostonSBA", "classic": "CrostonClassic", "optimized": "CrostonOptimized"}


class Croston(UntrainedForecaster):
    """Forecast of the size of a sale over the time between sales, both smoothed exponentially.

    Quantiles are those of the errors at earlier origins.

    Args:
        variant: ``sba``, with the correction of its bias; ``classic``; ``optimized``, with fitted smoothing.

    Raises:
        ValueError: If the variant is unknown.

    References:
        Croston, Forecasting and Stock Control for Intermittent Demands, Operational Research Quarterly 1972. Syntetos
        and Boylan, The Accuracy of Intermittent Demand Estimates, International Journal of Forecasting 2005.
    """

    needs_library = True

    def __init__(self, variant: Variant = "sba") -> None:
        if variant not in get_args(Variant):
            raise UserError(
                f"forecaster.croston.variant must be one of {', '.join(CLASSES)}, got {variant!r}; choose one of them."
            )
        self.variant = variant

    def forecast(self, history: History) -> Forecast:
        models = require_library("croston (a forecaster, and the default of series.fallback)")
        model: Any = getattr(models, CLASSES[self.variant])()
        return with_errors(history, _each(model))


def _each(model: Any) -> Callable[[History], Floats]:
    """Returns the function that applies a model to every series with a sale; others are forecast as 0."""

    def point(history: History) -> Floats:
        means = np.zeros((len(history.values), history.horizon))
        for series, first in enumerate(history.first.tolist()):
            values = history.values[series, first:]
            if len(values) and values.any():
                means[series] = model.forecast(y=np.ascontiguousarray(values), h=history.horizon)["mean"]
        return means

    return point
