"""End of the readable history of a request: at the request, some days before it, or at the latest refresh."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from seasonrec.data.calendar import local_days
from seasonrec.data.spec import SECONDS_PER_DAY


@dataclass(frozen=True)
class Horizon:
    """Rule from the time of a request to the end of its readable history.

    Without a refresh the end rolls with the request. With one, all requests between two refreshes know the same events:
    those before the last refresh, less the horizon. Refreshes are local midnights ``refresh_days`` days apart, before
    and after ``from_day``. All parts of a log follow the same refreshes, so that training and validation requests have
    the leads (times from the end of the history to the request) of the test.

    Args:
        seconds: Seconds from the end of the history to the request, or to its last refresh. They are those of the local
            clock where there is a refresh: 28 days before a midnight is a midnight.
        refresh_days: Days between two refreshes; 0 refreshes at each request.
        from_day: A local day of refresh, days since 1970-01-01.
        timezone: Zone of the local days.
    """

    seconds: int = 0
    refresh_days: int = 0
    from_day: int = 0
    timezone: str = "UTC"

    def known_until_s(self, times_s: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns ``(N,)`` seconds: requests at ``times_s`` read the events strictly before them."""
        times_s = np.asarray(times_s, dtype=np.int64)
        if not self.refresh_days:
            return times_s - self.seconds
        days, place = np.unique(self._refreshed(local_days(times_s, self.timezone)), return_inverse=True)
        ends_s = np.array([self._end_s(day) for day in days.tolist()], dtype=np.int64)
        return ends_s[place.reshape(times_s.shape)]

    def known_until_days(self, days: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns ``(N,)`` first local days of which no request on the local ``days`` is sure to read all events."""
        hidden = -(-self.seconds // SECONDS_PER_DAY)
        return (self._refreshed(days) if self.refresh_days else np.asarray(days)) - hidden

    def _refreshed(self, days: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.asarray(days) - (np.asarray(days) - self.from_day) % self.refresh_days

    def _end_s(self, day: int) -> int:
        midnight = datetime(1970, 1, 1, tzinfo=ZoneInfo(self.timezone)) + timedelta(days=day)  # on the local clock
        return int((midnight - timedelta(seconds=self.seconds)).timestamp())


ROLLING = Horizon()
"""Histories that end at their requests."""
