"""Rhythm of purchases against a sum purchase by purchase."""

import math
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from small_shop import Shop

from seasonrec.batches.context.own_history import OwnHistoryContext
from seasonrec.batches.context.rhythm import PERIODS_DAYS
from seasonrec.batches.horizon import Horizon
from seasonrec.batches.requests import Requests
from seasonrec.data.log import EventLog

DAY = 86_400


def local_s(time_s: int, timezone: str) -> float:
    """Returns what a wall clock counted since local Monday, 5 January 1970."""
    wall = datetime.fromtimestamp(time_s, ZoneInfo(timezone)).replace(tzinfo=None)
    return (wall - datetime(1970, 1, 5)).total_seconds()


def slow(log: EventLog, user: int, item: int, time_s: int, until_s: int) -> list[float]:
    found = []
    for basket in range(int(log.user_baskets[user]), int(log.user_baskets[user + 1])):
        events = log.event_items[log.basket_offsets[basket] : log.basket_offsets[basket + 1]]
        if log.basket_times_s[basket] < until_s and item in events:
            lag_s = local_s(time_s, log.timezone) - local_s(int(log.basket_times_s[basket]), log.timezone)
            waves = [math.cos(2 * math.pi * lag_s / (period * DAY)) for period in PERIODS_DAYS]
            found.append([*waves, 1.0 / len(events)])
    return np.mean(found, axis=0).tolist()


@pytest.mark.parametrize("horizon_days", [0, 30])
def test_equals_a_mean_over_purchases(shop: Shop, horizon_days: int) -> None:
    """Tests requests on both sides of daylight-saving changes, which lie between purchase and request."""
    baskets = np.sort(np.random.default_rng(0).choice(shop.log.num_baskets, 25, replace=False))
    requests = Requests.of_baskets(shop.log, baskets, Horizon(horizon_days * DAY))
    own = OwnHistoryContext().bind(shop.log, shop.spec)(requests)
    assert len(own.request) > 50
    for row, (request, item) in enumerate(zip(own.request.tolist(), own.item.tolist(), strict=True)):
        place = (requests.users[request], item, requests.times_s[request], requests.known_until_s[request])
        np.testing.assert_allclose(own.rhythm[row], slow(shop.log, *map(int, place)), atol=1e-5)


def test_a_request_has_the_same_bits_alone(shop: Shop) -> None:
    """Floating-point sums over all pairs of a batch would differ in their last bits; whole numbers do not."""
    requests = shop.some_requests(12)
    index = OwnHistoryContext().bind(shop.log, shop.spec)
    together = index(requests)
    for number in range(len(requests)):
        alone = index(requests[number : number + 1])
        assert alone.rhythm.equal(together.rows(number, number + 1).rhythm)
