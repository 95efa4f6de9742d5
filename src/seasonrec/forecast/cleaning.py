"""Gaps and outliers of series, treated with what is known at an origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from seasonrec.errors import UserError

Missing = Literal["zero", "interpolate", "mean", "seasonal"]
Outliers = Literal["none", "hampel", "mstl"]
Floats = NDArray[np.float64]

HALF_WINDOW = 6
"""Periods on each side of a value in Hampel's window."""

DEVIATIONS = 3.0
"""Standard deviations, estimated from the median deviation, beyond which Hampel's rule flags a value."""

NORMAL_SD = 1.4826
"""Standard deviation of a normal variable over its median absolute deviation."""

FENCE = 3.0
"""Quartile distances beyond the quartiles of the remainder at which ``mstl`` flags a value."""

LEAST_CYCLES = 2
"""Cycles that an estimated season needs."""

SERIES_AT_ONCE = 512


@dataclass(frozen=True)
class Cleaned:
    """Series without gaps and outliers, up to an origin.

    Args:
        values: ``(S, O)`` float64.
        filled: Number of filled values.
        flagged: Number of replaced outliers.
        short: Number of series that are too short for the rule; another one was used, see :func:`fill_gaps`.
    """

    values: Floats
    filled: int
    flagged: int
    short: int


def cleaned(
    values: Floats,
    first: NDArray[np.int64],
    is_closed: NDArray[np.bool_],
    rules: tuple[Missing, Outliers],
    cycle: int,
) -> Cleaned:
    """Treats gaps, then outliers, of series that end at an origin.

    Args:
        values: ``(S, O)``.
        first: ``(S,)`` period of the first sale; the periods before it are left alone.
        is_closed: ``(O,)`` bool.
        rules: Names of the two rules.
        cycle: Periods of a cycle.

    Raises:
        UserError: If ``mstl`` is asked of periods that cover fewer than two cycles.
    """
    missing, outliers = rules
    filled, short = fill_gaps(values, first, is_closed, missing, cycle)
    exists = np.arange(values.shape[1]) >= first[:, None]
    number = int((exists & is_closed).sum())
    if outliers == "none":
        return Cleaned(filled, number, 0, short)
    if outliers == "hampel":
        middle, flags = hampel(filled)
        flags &= exists
        return Cleaned(np.where(flags, middle, filled), number, int(flags.sum()), short)
    if values.shape[1] < LEAST_CYCLES * cycle:
        raise UserError(
            f"series.outliers=mstl needs {LEAST_CYCLES} cycles of {cycle} periods before each origin, got "
            f"{values.shape[1]} periods; choose series.outliers=hampel, fewer origins, or a longer log."
        )
    long = first <= values.shape[1] - LEAST_CYCLES * cycle
    filled, flagged = filled.copy(), 0
    for series in np.flatnonzero(long):
        begin = int(first[series])
        remainder, flags = mstl_flags(filled[series, begin:], cycle)
        filled[series, begin:] = np.where(
            flags, np.maximum(filled[series, begin:] - remainder, 0), filled[series, begin:]
        )
        flagged += int(flags.sum())
    return Cleaned(filled, number, flagged, short + int((~long).sum()))


def fill_gaps(
    values: Floats, first: NDArray[np.int64], is_closed: NDArray[np.bool_], rule: Missing, cycle: int
) -> tuple[Floats, int]:
    """Returns the series with their closed periods filled, and the number of series without an earlier cycle.

    ``interpolate`` repeats the nearest open value where one side has none. ``seasonal`` takes the mean of a series that
    begins less than a cycle before a gap.
    """
    if not is_closed.any():
        return values, 0
    filled, short = values.copy(), np.zeros(len(values), dtype=bool)
    periods = np.arange(values.shape[1])
    open_periods = np.flatnonzero(~is_closed)
    exists = periods >= first[:, None]
    counts = (exists & ~is_closed).sum(axis=1)
    mean = np.where(exists & ~is_closed, values, 0).sum(axis=1) / np.maximum(counts, 1)
    for gap in np.flatnonzero(is_closed):
        if rule == "zero" or not len(open_periods):
            new = np.zeros(len(values))
        elif rule == "mean":
            new = mean
        elif rule == "interpolate":
            new = _between(values, open_periods, int(gap))
        else:
            has = first <= gap - cycle
            new = np.where(has, filled[:, gap - cycle] if gap >= cycle else 0, mean)
            short |= ~has & exists[:, gap]
        filled[:, gap] = np.where(exists[:, gap], new, 0)
    return filled, int(short.sum())


def _between(values: Floats, open_periods: NDArray[np.int64], gap: int) -> Floats:
    """Returns ``(S,)`` values on the lines between the open periods around a gap."""
    place = int(np.searchsorted(open_periods, gap))
    left = int(open_periods[max(place - 1, 0)])
    right = int(open_periods[min(place, len(open_periods) - 1)])
    if left >= gap or right <= gap:
        return values[:, right if left >= gap else left]
    share = (gap - left) / (right - left)
    return values[:, left] * (1 - share) + values[:, right] * share


def hampel(values: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Returns ``(S, O)`` medians of the periods around each value, and bool flags of the values far from them.

    The window is cut at the ends. A series whose median deviation is 0 there, such as one that sells rarely, has no
    flags: every sale of it would be one.

    References:
        Hampel, The Influence Curve and its Role in Robust Estimation, JASA 1974.
    """
    middle, flags = np.empty_like(values), np.empty(values.shape, dtype=bool)
    for begin in range(0, len(values), SERIES_AT_ONCE):
        rows = slice(begin, begin + SERIES_AT_ONCE)
        padded = np.pad(values[rows], ((0, 0), (HALF_WINDOW, HALF_WINDOW)), constant_values=np.nan)
        around = sliding_window_view(padded, 2 * HALF_WINDOW + 1, axis=1)
        middle[rows] = np.nanmedian(around, axis=2)
        deviation = NORMAL_SD * np.nanmedian(np.abs(around - middle[rows, :, None]), axis=2)
        flags[rows] = (deviation > 0) & (np.abs(values[rows] - middle[rows]) > DEVIATIONS * deviation)
    return middle, flags


def mstl_flags(values: Floats, cycle: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Returns the ``(O,)`` remainder after trend and season, and bool flags of its outliers.

    References:
        Bandara, Hyndman and Bergmeir, MSTL: A Seasonal-Trend Decomposition Algorithm for Time Series with Multiple
        Seasonal Patterns, 2021. Hyndman and Athanasopoulos, Forecasting: Principles and Practice, section 13.9: the
        fence.
    """
    from seasonrec.forecast.library import require_library

    decomposition = require_library("series.outliers=mstl", "statsforecast.mstl").mstl(values, period=cycle)
    remainder = np.asarray(decomposition["remainder"], dtype=np.float64)
    low, high = np.quantile(remainder, [0.25, 0.75])
    reach = FENCE * (high - low)
    return remainder, (remainder < low - reach) | (remainder > high + reach)
