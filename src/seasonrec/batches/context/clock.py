"""Places of a moment in year, month, week and day, on the local clock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.requests import Requests
from seasonrec.data.calendar import local_seconds, weekdays
from seasonrec.data.log import EventLog
from seasonrec.data.spec import SECONDS_PER_DAY, DataSpec

PLACES = {"day_of_year": 366, "month": 12, "date": 31, "weekday": 7, "hour": 24}
"""Number of places by name, in the order of the columns; places count from 0, and Monday is 0."""

DAY_OF_YEAR = list(PLACES).index("day_of_year")


@dataclass(frozen=True)
class Clock:
    """Places of each request.

    Args:
        places: ``(N, 5)`` int64, see :data:`PLACES`.
    """

    places: Tensor

    def rows(self, start: int, stop: int) -> Clock:
        return Clock(self.places[start:stop])


@dataclass(frozen=True)
class ClockContext:
    """Options of :class:`Clock`."""

    name: str = "clock"

    def bind(self, log: EventLog, spec: DataSpec) -> ClockIndex:
        return ClockIndex(log.timezone)


@dataclass(frozen=True)
class ClockIndex:
    """Index of :class:`Clock`; it reads the time of the request alone."""

    timezone: str

    def __call__(self, requests: Requests, items: NDArray[np.int64] | None = None) -> Clock:
        return Clock(torch.from_numpy(clock_places(requests.times_s, self.timezone)))


def clock_places(times_s: NDArray[np.int64], timezone: str) -> NDArray[np.int64]:
    """Returns ``(..., 5)`` places of ``(...)`` times, see :data:`PLACES`.

    Args:
        times_s: ``(...)`` int64, seconds since 1970-01-01 UTC.
        timezone: IANA name.
    """
    day, second = np.divmod(local_seconds(times_s.ravel(), timezone), SECONDS_PER_DAY)
    date = day.astype("datetime64[D]")
    month = date.astype("datetime64[M]")
    columns = [
        (date - date.astype("datetime64[Y]")).astype(np.int64),
        month.astype(np.int64) % 12,
        (date - month).astype(np.int64),
        weekdays(day),
        second // 3600,
    ]
    return np.stack(columns, axis=-1).reshape(*times_s.shape, len(PLACES))
