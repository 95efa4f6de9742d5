"""Calendar of the day of a request: its place in the year and the week, and its distance from each holiday."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.requests import Requests
from seasonrec.data.calendar import holiday_days, local_days, local_seconds, signed_distances, weekdays
from seasonrec.data.log import EventLog
from seasonrec.data.occasions import Occurrences
from seasonrec.data.spec import DAYS_PER_YEAR, SECONDS_PER_DAY, DataSpec

FAR_DAYS = 60
"""Limit of the distance from a holiday, in days."""


@dataclass(frozen=True)
class RequestCalendar:
    """Calendar of each request; ``N`` requests, ``H`` holidays: those of the dataset's country by name, then the
    occasions of the user's own calendar by name.

    An occasion counts from its ``known_from`` on: a request whose history ends before that day does not see it.

    Args:
        day: ``(N,)`` int64, local days since 1970-01-01.
        year_phase: ``(N,)`` float in ``[0, 2 pi)``, the angle of the day in the year.
        weekday: ``(N,)`` int64, Monday = 0.
        day_phase: ``(N,)`` float in ``[0, 2 pi)``, the angle of the local time in the day.
        unseen_days: ``(N,)`` float, number of days by which the log begins too late to hold the same day of the
            previous year; 0 if it holds it.
        holiday_days: ``(N, H)`` float, days since the nearest occurrence; negative before it, 0 on each of its days,
            from -60 to 60; 60 for an occasion of which no occurrence is known.
        holiday_known: ``(N, H)`` float, 1 if the log holds the occurrence before the nearest one.
    """

    day: Tensor
    year_phase: Tensor
    weekday: Tensor
    day_phase: Tensor
    unseen_days: Tensor
    holiday_days: Tensor
    holiday_known: Tensor

    def rows(self, start: int, stop: int) -> RequestCalendar:
        return RequestCalendar(**{field.name: getattr(self, field.name)[start:stop] for field in fields(self)})


@dataclass(frozen=True)
class CalendarContext:
    """Options of :class:`RequestCalendar`."""

    name: str = "calendar"

    def bind(self, log: EventLog, spec: DataSpec) -> CalendarIndex:
        return CalendarIndex(log, spec)


def holiday_names(spec: DataSpec) -> tuple[str, ...]:
    """Returns the names of the ``H`` holidays and occasions, in the order of ``RequestCalendar.holiday_days``."""
    return (*_occurrences(spec), *spec.occasions)


def _occurrences(spec: DataSpec) -> dict[str, tuple[int, ...]]:
    years = [int(str(np.datetime64(time_s, "s"))[:4]) for time_s in (spec.first_time_s, spec.last_time_s)]
    return holiday_days(spec.country, years[0] - 1, years[1] + 2)


class CalendarIndex:
    """Index of the calendar."""

    def __init__(self, log: EventLog, spec: DataSpec) -> None:
        self.log = log
        self.occurrences = _occurrences(spec)
        self.own = [Occurrences.of(log.occasions, name) for name in spec.occasions]
        self.first_day, last_day = local_days(np.asarray([spec.first_time_s, spec.last_time_s]), spec.timezone).tolist()
        self._distances = self._compute(np.arange(self.first_day, last_day + 1))

    def __call__(self, requests: Requests, items: NDArray[np.int64] | None = None) -> RequestCalendar:
        days, second = np.divmod(local_seconds(requests.times_s, self.log.timezone), SECONDS_PER_DAY)
        holiday = self._holidays(days)
        known = (days[:, None] - holiday - DAYS_PER_YEAR) >= self.first_day
        if self.own:
            news = local_days(requests.known_until_s, self.log.timezone)
            own = [occurrences.distances(days, news) for occurrences in self.own]
            seen = [occurrences.seen_before(days, news, self.first_day) for occurrences in self.own]
            holiday, known = np.column_stack([holiday, *own]), np.column_stack([known, *seen])
        return RequestCalendar(
            day=torch.from_numpy(days),
            year_phase=_float(2 * np.pi * (days % DAYS_PER_YEAR) / DAYS_PER_YEAR),
            weekday=torch.from_numpy(weekdays(days)),
            day_phase=_float(2 * np.pi * second / SECONDS_PER_DAY),
            unseen_days=_float(np.maximum(0.0, self.first_day + DAYS_PER_YEAR - days)),
            holiday_days=_float(np.clip(holiday, -FAR_DAYS, FAR_DAYS)),
            holiday_known=_float(known),
        )

    def _holidays(self, days: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns days since the nearest public holiday: from a table for days of the log, else computed."""
        place = days - self.first_day
        within = (place >= 0) & (place < len(self._distances))
        return self._distances.take(place, axis=0) if within.all() else self._compute(days)

    def _compute(self, days: NDArray[np.int64]) -> NDArray[np.int64]:
        distances = [signed_distances(days, table) for table in self.occurrences.values()]
        return np.stack(distances, axis=1) if distances else np.zeros((len(days), 0), dtype=np.int64)


def _float(values: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))
