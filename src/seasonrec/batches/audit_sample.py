"""Sample of the requests that the leak auditor tries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from seasonrec.batches.horizon import Horizon
from seasonrec.batches.requests import Requests
from seasonrec.data.calendar import holiday_days, local_days, signed_distances, weekdays
from seasonrec.data.log import EventLog
from seasonrec.data.occasions import Occurrences, occasion_names

SAMPLED_BASKETS = 1 << 20
"""Limit of the baskets from which a part's sample is drawn. A longer part is reduced to every n-th basket."""

HOLIDAY_DAYS = 1
"""Greatest distance in days of a request near a holiday."""


def sample(
    log: EventLog, baskets: NDArray[np.int64], horizon: Horizon, earlier_s: Sequence[int], each: int, limit: int
) -> Requests:
    """Returns requests of a part on all weekdays and near all holidays, with several ends of the history.

    A leak may show on some days only, for example on Mondays or at Christmas. So each kind of day (a weekday, or a
    holiday and the days beside it) gives the same number of requests, evenly spread in time, and the ends take
    turns. The last request is included.

    Args:
        log: The prepared log.
        baskets: ``(K,)`` rising baskets of the part, at least one.
        horizon: End of the history of each request.
        earlier_s: Seconds by which the history may end earlier than that.
        each: Number of requests of each kind of day.
        limit: Maximal number of requests beside the last one.
    """
    latest = baskets[np.argmax(log.basket_times_s[baskets])]
    baskets = baskets[:: len(baskets) // SAMPLED_BASKETS + 1]
    by_time = baskets[np.argsort(log.basket_times_s[baskets], kind="stable")]
    kinds = _kinds_of_days(log, by_time)
    chosen = np.concatenate([_spread(by_time[kinds == kind], each) for kind in np.unique(kinds)])
    turn = np.asarray(earlier_s)[np.append(np.arange(len(chosen)) % len(earlier_s), 0)]
    requests = Requests.of_baskets(log, np.append(chosen, latest), horizon)
    requests = replace(requests, known_until_s=requests.known_until_s - turn)
    return requests[np.append(_spread(np.arange(len(chosen)), limit), len(chosen))]


def _kinds_of_days(log: EventLog, baskets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns ``(K,)`` kinds of the baskets' days: the weekday from 0, or from 7 on the holiday or occasion nearby."""
    days = local_days(np.asarray(log.basket_times_s[baskets]), log.timezone)
    years = days[[0, -1]].astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    kinds = weekdays(days)
    for number, table in enumerate(holiday_days(log.country, int(years[0]) - 1, int(years[1]) + 1).values()):
        kinds[np.abs(signed_distances(days, table)) <= HOLIDAY_DAYS] = 7 + number
    for number, name in enumerate(occasion_names(log.occasions), start=int(kinds.max()) + 1):
        begins = tuple(Occurrences.of(log.occasions, name).first.tolist())  # the first days of a long one are enough
        kinds[np.abs(signed_distances(days, begins)) <= HOLIDAY_DAYS] = number
    return kinds


def _spread(values: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Returns at most ``count`` of the values, evenly spread."""
    return values[np.unique(np.linspace(0, len(values) - 1, min(count, len(values))).astype(np.int64))]
