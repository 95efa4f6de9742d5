"""Inputs that are known ahead: calendar, holidays and the user's events, by period."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seasonrec.data.calendar import EPOCH, holiday_days
from seasonrec.data.log import EventLog
from seasonrec.data.spec import DAYS_PER_YEAR
from seasonrec.errors import UserError

LEAD_DAYS = 7
"""Days before a holiday that count for it, because people shop before it."""

LEAST_OCCURRENCES = 2
"""Occurrences of a holiday before an origin for it to have an input of its own."""

HARMONICS = 2
"""Sine-cosine pairs of the year."""

TOGETHER = "other holidays"


@dataclass(frozen=True)
class KnownInputs:
    """Values of ``K`` inputs in each period, from the first period of the series on.

    Args:
        names: ``K`` names.
        values: ``(periods, K)`` float64.
        notes: Counts of what was left out, for the record.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    notes: dict[str, int]

    def until(self, stop: int) -> NDArray[np.float64]:
        """Returns the values of the periods before ``stop``.

        Raises:
            UserError: If the inputs end earlier.
        """
        if stop > len(self.values):
            raise UserError(
                f"known inputs must reach the end of the horizon, period {stop}, got {len(self.values)} periods; give "
                "longer inputs, or lower horizon."
            )
        return self.values[:stop]


def dated_events(log: EventLog, first_day: int, last_day: int) -> dict[str, tuple[int, ...]]:
    """Returns the days of every holiday between two local days, by name.

    Everything of the calendar that a forecaster knows comes through this function.
    """
    years = [(EPOCH + dt.timedelta(days=day)).year for day in (first_day, last_day)]
    return holiday_days(log.country, years[0] - 1, years[1] + 1)


def calendar_inputs(
    events: dict[str, tuple[int, ...]], starts: NDArray[np.int64], period_days: int, known: int
) -> KnownInputs:
    """Returns the inputs of all periods, as an origin knows them.

    A holiday that lies at least twice before the origin has an input of its own: the share of its day and of the week
    before it that falls into a period. Other holidays share one input, because a weight fitted to a single occurrence
    would be that occurrence's error. The time of year has sines and cosines if two years lie before the origin.

    Args:
        events: Days of each holiday, by name.
        starts: ``(periods,)`` local day on which each period begins.
        period_days: Days of a period.
        known: Periods before the origin.
    """
    columns: dict[str, NDArray[np.float64]] = {}
    together = np.zeros(len(starts))
    origin = int(starts[known]) if known < len(starts) else int(starts[-1]) + period_days
    rare = 0
    for name, days in events.items():
        share = _share(np.asarray(days, dtype=np.int64), starts, period_days)
        if not share.any():
            continue
        if sum(int(starts[0]) <= day < origin for day in days) >= LEAST_OCCURRENCES:
            columns[name] = share
        else:
            together += share
            rare += 1
    if together.any():
        columns[TOGETHER] = together
    cycles = known * period_days / DAYS_PER_YEAR
    has_year = cycles >= 2
    if has_year:
        phase = 2 * math.pi * (starts + period_days / 2) / DAYS_PER_YEAR
        for pair in range(1, HARMONICS + 1):
            columns |= {f"sin {pair}": np.sin(pair * phase), f"cos {pair}": np.cos(pair * phase)}
    columns = {name: column for name, column in columns.items() if np.ptp(column[:known]) > 0}
    values = np.stack(list(columns.values()), axis=1) if columns else np.zeros((len(starts), 0))
    notes = {"holidays that share one input": rare, "left out, fewer than two years: time of year": int(not has_year)}
    return KnownInputs(tuple(columns), values, {name: count for name, count in notes.items() if count})


def _share(days: NDArray[np.int64], starts: NDArray[np.int64], period_days: int) -> NDArray[np.float64]:
    """Returns the ``(periods,)`` share of the days of an event, and of the week before it, in each period."""
    counted = (days[:, None] - np.arange(LEAD_DAYS + 1)).ravel()
    period = (counted - int(starts[0])) // period_days
    inside = (period >= 0) & (period < len(starts))
    return np.bincount(period[inside], minlength=len(starts)) / (LEAD_DAYS + 1.0)
