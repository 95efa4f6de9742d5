"""Descriptions of a log that cannot be split by shares of its time span."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from seasonrec.data.calendar import local_days
from seasonrec.data.log import EventLog
from seasonrec.data.spec import SECONDS_PER_DAY
from seasonrec.errors import UserError

_FEW = 0.25
"""Share of the baskets up to which those on one side of a long gap are told as strays."""

_LEAST_DAYS = 3


def unsplittable(log: EventLog) -> UserError:
    """Returns the error of a log that has no basket for some part; it names dates that split the log, if any do."""
    times_s = np.sort(np.asarray(log.basket_times_s))
    days = local_days(times_s, log.timezone)
    remedy = _dates(days)
    if remedy is None:
        remedy = f"give a log with baskets on at least {_LEAST_DAYS} days, or check how its times are read"
    return UserError(f"data cannot be split by shares of its time span: {_fact(times_s, log)}; {remedy}.")


def _fact(times_s: NDArray[np.int64], log: EventLog) -> str:
    zone = ZoneInfo(log.timezone)
    gaps, count = np.diff(times_s), len(times_s)
    widest = int(gaps.argmax()) if len(gaps) else 0
    span_s = int(times_s[-1] - times_s[0])
    first, last, before, after = (
        datetime.fromtimestamp(int(time_s), zone)
        for time_s in (times_s[0], times_s[-1], times_s[widest], times_s[min(widest + 1, count - 1)])
    )
    span = f"the log spans {duration(span_s)}, from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} ({log.timezone})"
    early = widest + 1
    if len(gaps) and gaps[widest] > span_s / 2:
        if early <= _FEW * count:
            return f"{span}, and all but {early:,} of its {count:,} baskets lie on or after {after:%Y-%m-%d}"
        if count - early <= _FEW * count:
            return f"{span}, and all but {count - early:,} of its {count:,} baskets lie on or before {before:%Y-%m-%d}"
    return f"{span}, with {count:,} baskets"


def _dates(days: NDArray[np.int64]) -> str | None:
    """Returns the assignment of cuts that leave about 75%, 10% and 15% of the baskets in the parts, or None."""
    distinct = np.unique(days)
    if len(distinct) < _LEAST_DAYS:
        return None
    wanted = [int(np.searchsorted(distinct, days[int(share * (len(days) - 1))])) for share in (0.75, 0.85)]
    test = min(max(wanted[1], 2), len(distinct) - 1)
    validation = min(max(wanted[0], 1), test - 1)
    cuts = [date(1970, 1, 1) + timedelta(int(distinct[number])) for number in (validation, test)]
    return f"correct stray times, or set split.validation_from={cuts[0]} and split.test_from={cuts[1]}"


def duration(seconds: int) -> str:
    """Returns a duration in the largest unit of which it has two or more."""
    for unit, length in (("years", 365 * SECONDS_PER_DAY), ("days", SECONDS_PER_DAY), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds} seconds"
