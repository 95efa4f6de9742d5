"""Metrics of forecasts, and of their use as a list of what will sell best."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def mase_scales(values: Floats, first: NDArray[np.int64], cycle: int) -> Floats:
    """Returns the ``(S,)`` mean absolute error of the seasonal naive forecast on the known part of each series.

    A series that is not longer than a cycle is measured by its last value instead. The scale is NaN where this error
    is 0 or cannot be measured.

    Args:
        values: ``(S, O)`` known values.
        first: ``(S,)`` period of the first sale.
        cycle: Periods of a cycle.

    References:
        Hyndman and Koehler, Another Look at Measures of Forecast Accuracy, International Journal of Forecasting 2006.
    """
    known = values.shape[1]
    scales = np.full(len(values), np.nan)
    for lag, chosen in ((cycle, first < known - cycle), (1, (first >= known - cycle) & (first < known - 1))):
        if lag >= known or not chosen.any():
            continue
        changes = np.abs(values[:, lag:] - values[:, :-lag])[chosen]
        exists = np.arange(known - lag) >= first[chosen, None]
        scales[chosen] = np.where(exists, changes, 0).sum(axis=1) / exists.sum(axis=1)
    return np.where(scales > 0, scales, np.nan)


def pinball(actual: Floats, quantiles: Floats, levels: tuple[float, ...]) -> Floats:
    """Returns the ``(...)`` mean over quantiles of the pinball loss.

    The loss of a quantile ``q`` at level ``a`` is ``max(a (y - q), (a - 1) (y - q))``.

    Args:
        actual: ``(...)``.
        quantiles: ``(..., Q)``.
        levels: ``Q`` probabilities.
    """
    above = actual[..., None] - quantiles
    weights = np.asarray(levels)
    return np.asarray(np.maximum(weights * above, (weights - 1) * above).mean(axis=-1), dtype=np.float64)


def covered(actual: Floats, quantiles: Floats) -> Floats:
    """Returns ``(...)`` 1 where the value lies between the lowest and the highest quantile, bounds included."""
    inside = (actual >= quantiles[..., 0]) & (actual <= quantiles[..., -1])
    return inside.astype(np.float64)


def summary(cells: dict[str, Floats], scales: Floats, levels: tuple[float, ...]) -> dict[str, float]:
    """Returns the metrics of ``N`` forecasts.

    ``mae`` is the mean absolute error, ``rmse`` the root of the mean squared one, ``wape`` the sum of absolute errors
    over the sum of values, ``mase`` the mean of absolute errors over the scale of their series, ``pinball`` the mean
    pinball loss, ``scaled_pinball`` the same over the scale, and ``coverage`` the share of values between the outer
    quantiles.

    Args:
        cells: ``actual`` and ``mean`` ``(N,)``, and ``quantiles`` ``(N, Q)``.
        scales: ``(N,)`` of :func:`mase_scales`; cells with NaN are left out of ``mase`` and ``scaled_pinball``.
        levels: ``Q`` probabilities.
    """
    actual, mean, quantiles = cells["actual"], cells["mean"], cells["quantiles"]
    error, loss = np.abs(actual - mean), pinball(actual, quantiles, levels)
    total = np.abs(actual).sum()
    has_scale = ~np.isnan(scales)
    return {
        "mae": float(error.mean()),
        "rmse": float(np.sqrt(np.square(error).mean())),
        "wape": float(error.sum() / total) if total else float("nan"),
        "mase": float((error / scales)[has_scale].mean()) if has_scale.any() else float("nan"),
        "pinball": float(loss.mean()),
        "scaled_pinball": float((loss / scales)[has_scale].mean()) if has_scale.any() else float("nan"),
        "coverage": float(covered(actual, quantiles).mean()),
    }


def recall_of_best(actual: Floats, forecast: Floats, k: int) -> float:
    """Returns the share of the ``k`` highest forecasts that belong to the ``k`` best sellers.

    A best seller sells something, and not less than the ``k``-th best; equals at the border all belong. With fewer than
    ``k`` sellers the share is of their number. Equal forecasts at the border of the list stand in it with equal
    probability, and the share is its expectation. NaN without a seller.

    Args:
        actual: ``(S,)`` sales of the period.
        forecast: ``(S,)`` forecasts.
        k: Length of the list.
    """
    sellers = int((actual > 0).sum())
    places = min(k, sellers)
    if not places:
        return float("nan")
    best = (actual > 0) & (actual >= np.sort(actual)[-places])
    listed = min(k, len(forecast))
    border = np.sort(forecast)[-listed]
    above, at = forecast > border, forecast == border
    share = (listed - above.sum()) / at.sum()
    return float(min(1.0, (best[above].sum() + share * best[at].sum()) / places))
