"""Series of sales by item, category or text cluster, from a prepared log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from seasonrec.data.calendar import EPOCH_WEEKDAY, local_days
from seasonrec.data.log import EventLog
from seasonrec.data.portions import basket_portions
from seasonrec.errors import UserError
from seasonrec.forecast.cleaning import Missing, Outliers
from seasonrec.ranges import Count, ranged

Level = Literal["item", "category", "cluster"]
Period = Literal["week", "day"]
Measure = Literal["events", "value"]
Fallback = Literal["croston", "naive"]

WEEK_DAYS = 7
CYCLE = {"week": 52, "day": 7}
"""Periods of the cycle that a forecaster may estimate: the year of weekly series, the week of daily ones."""

MOST_CELLS = 1 << 27
"""Largest number of series times periods, 1 GB in memory."""


@ranged("series")
@dataclass(frozen=True)
class SeriesOptions:
    """Options of the series.

    Args:
        level: One series for each item, each category, or each cluster of texts.
        period: Length of a period: a local week, Monday to Sunday, or a local day.
        measure: What is summed: events, or their values.
        missing: What stands in a period in which the whole shop has no event: ``zero``; ``interpolate``, a line between
            the nearest open periods; ``mean``, the mean of the series; ``seasonal``, the value one cycle earlier.
        outliers: ``none``; ``hampel``, values far from the median of the periods around them, which are replaced by
            that median; ``mstl``, values with a large remainder after trend and season, which is taken out.
        least_nonzero: Periods with a sale before an origin that a series needs. Shorter ones are given to ``fallback``.
        most: Series that are forecast at most, those with the highest totals before the first origin; the others are
            given to ``fallback``. None for all.
        fallback: Forecaster of the other series: ``croston``, or ``naive``, the last value.
        reader: Language model of the texts of ``level=cluster``, see
            :func:`~seasonrec.models.language.pretrained.resolve`.

    Raises:
        ValueError: If an option is unknown or out of range.
    """

    level: Level = "item"
    period: Period = "week"
    measure: Measure = "events"
    missing: Missing = "zero"
    outliers: Outliers = "none"
    least_nonzero: Count = 8
    most: Count | None = None
    fallback: Fallback = "croston"
    reader: str = "minilm"

    def __post_init__(self) -> None:
        kinds = {
            "level": Level, "period": Period, "measure": Measure, "missing": Missing, "outliers": Outliers,
            "fallback": Fallback,
        }  # fmt: skip
        for name, kind in kinds.items():
            if getattr(self, name) not in get_args(kind):
                known = ", ".join(get_args(kind))
                raise UserError(f"series.{name} must be one of {known}, got {getattr(self, name)!r}; choose one.")

    @property
    def cycle(self) -> int:
        """Periods of the cycle that a forecaster may estimate."""
        return CYCLE[self.period]

    @property
    def period_days(self) -> int:
        """Days of a period."""
        return WEEK_DAYS if self.period == "week" else 1


@dataclass(frozen=True)
class Panel:
    """Series over the same periods; ``S`` series, ``P`` periods.

    Args:
        names: ``S`` names.
        values: ``(S, P)`` float64 sums of a period; 0 before the first sale and in closed periods.
        first: ``(S,)`` int64, the period of the first sale.
        starts: ``(P,)`` int64, local day on which each period begins, since 1970-01-01.
        is_closed: ``(P,)`` bool, True for a period in which the whole log has no event: a gap, no zero.
        period_days: Days of a period.
        item_series: ``(V,)`` int64, the series of each item.
        cut_events: Events in the incomplete first and last period, which are left out.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    first: NDArray[np.int64]
    starts: NDArray[np.int64]
    is_closed: NDArray[np.bool_]
    period_days: int
    item_series: NDArray[np.int64]
    cut_events: int = 0

    @property
    def num_periods(self) -> int:
        return len(self.starts)

    def start_of(self, period: int) -> int:
        """Returns the local day on which a period begins; it may lie after the last one."""
        return int(self.starts[0]) + period * self.period_days


def panel_of(log: EventLog, options: SeriesOptions, names: tuple[str, ...], item_series: NDArray[np.int64]) -> Panel:
    """Returns the series of a log.

    The first and the last period are left out if the log does not cover all of their days.

    Args:
        log: The prepared log.
        options: Options of the series.
        names: ``S`` names of the series.
        item_series: ``(V,)`` the series of each item.

    Raises:
        UserError: If the log has no whole period, no values where they are summed, or too many series.
    """
    days, starts = _basket_days(log), whole_periods(log, options)
    first_day, length = int(starts[0]), options.period_days
    count, periods = len(names), len(starts)
    if count * periods > MOST_CELLS:
        raise UserError(
            f"series times periods must be at most {MOST_CELLS:,}, got {count:,} x {periods:,}; choose "
            "series.level=category or series.period=week."
        )
    sums, kept = np.zeros(count * periods), np.zeros(count * periods, dtype=np.int64)
    cut = 0
    for baskets, events in basket_portions(log):
        sizes = np.diff(log.basket_offsets[baskets.start : baskets.stop + 1])
        period = np.repeat((days[baskets] - first_day) // length, sizes)
        inside = (period >= 0) & (period < periods)
        cut += int((~inside).sum())
        cell = item_series[np.asarray(log.event_items[events])][inside] * periods + period[inside]
        weights = _values(log, events)[inside] if options.measure == "value" else None
        sums += np.bincount(cell, weights, minlength=len(sums))
        kept += np.bincount(cell, minlength=len(sums))
    counts = kept.reshape(count, periods) > 0
    return Panel(
        names=names,
        values=sums.reshape(count, periods),
        first=np.where(counts.any(axis=1), counts.argmax(axis=1), periods).astype(np.int64),
        starts=starts,
        is_closed=np.logical_not(counts.any(axis=0)),
        period_days=length,
        item_series=item_series,
        cut_events=cut,
    )


def whole_periods(log: EventLog, options: SeriesOptions) -> NDArray[np.int64]:
    """Returns the ``(P,)`` first days of the periods all of whose days lie within the log.

    Raises:
        UserError: If there is none.
    """
    days = _basket_days(log)
    first_day, last_day = int(days.min()), int(days.max())
    length = options.period_days
    offset = EPOCH_WEEKDAY if options.period == "week" else 0  # a week begins on Monday
    periods = np.arange(-(-(first_day + offset) // length), (last_day + 1 + offset) // length)
    if not len(periods):
        raise UserError(
            f"the log must cover at least one whole {options.period}, got {last_day - first_day + 1} days; choose "
            "series.period=day, or take a longer log."
        )
    return np.asarray(periods * length - offset, dtype=np.int64)


def second_of(log: EventLog, day: int) -> int:
    """Returns the first second after the last event before a local day: everything earlier is known on that day.

    Raises:
        UserError: If the log has no event before the day.
    """
    known = _basket_days(log) < day
    if not known.any():
        raise UserError("an origin must have events before it, got none; lower origins, step or horizon.")
    return int(np.asarray(log.basket_times_s)[known].max()) + 1


def _basket_days(log: EventLog) -> NDArray[np.int64]:
    days = np.empty(log.num_baskets, dtype=np.int64)
    for baskets, _ in basket_portions(log):
        days[baskets] = local_days(log.basket_times_s[baskets], log.timezone)
    return days


def _values(log: EventLog, events: slice) -> NDArray[np.float64]:
    values = np.asarray(log.event_values[events], dtype=np.float64)
    if np.isnan(values).any():
        raise UserError(
            "series.measure=value needs a value of every event, got events without one; choose series.measure=events."
        )
    return values
