"""Inputs that are known ahead: calendar, holidays and the user's events, by period."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seasonrec.data.log import EventLog
from seasonrec.data.occasions import known_inputs
from seasonrec.data.spec import DAYS_PER_YEAR
from seasonrec.errors import UserError

LEAD_DAYS = 7
"""Days before a holiday or occasion that count for it, because people shop before it."""

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


def dated_events(log: EventLog, first_day: int, last_day: int, known_day: int) -> dict[str, tuple[int, ...]]:
    """Returns the days of every holiday and every occasion of the user's calendar, by name.

    Everything of the calendar that a forecaster knows comes through this function.

    Args:
        log: The log, with its country and its occasions.
        first_day: First local day.
        last_day: Last local day; events of the week after it are included, because people shop before them.
        known_day: Last day whose news is known; an occasion that is known only later is left out.
    """
    table = known_inputs(log.occasions, log.country, first_day, last_day + LEAD_DAYS, known_day)
    names = [name for name in table.columns if name != "date"]
    return {name: tuple((first_day + np.flatnonzero(table[name].to_numpy())).tolist()) for name in names}


def calendar_inputs(
    events: dict[str, tuple[int, ...]], starts: NDArray[np.int64], period_days: int, known: int
) -> KnownInputs:
    """Returns the inputs of all periods, as an origin knows them.

    A holiday or occasion that lies at least twice before the origin has an input of its own: the share of its days and
    of the week before them that falls into a period. The others share one input, because a weight fitted to a single
    occurrence would be that occurrence's error. The time of year has sines and cosines if two years lie before the
    origin.

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
        known_days = {day for day in days if int(starts[0]) <= day < origin}
        if sum(day - 1 not in known_days for day in known_days) >= LEAST_OCCURRENCES:  # days in a row are one
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
