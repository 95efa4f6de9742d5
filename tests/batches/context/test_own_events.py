"""Last own events and places on the clock against a count by hand."""

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from random_log import DAY_S, random_log
from small_shop import Shop

from seasonrec.batches.context.clock import ClockContext, clock_places
from seasonrec.batches.context.own_events import OwnEventsIndex
from seasonrec.batches.horizon import Horizon
from seasonrec.batches.requests import Requests


def places_by_hand(time_s: int, timezone: str) -> list[int]:
    moment = datetime.fromtimestamp(time_s, ZoneInfo(timezone))
    return [moment.timetuple().tm_yday - 1, moment.month - 1, moment.day - 1, moment.weekday(), moment.hour]


def test_places_are_those_of_the_local_clock() -> None:
    times_s = np.random.default_rng(0).integers(0, 2_000_000_000, (20, 5))
    found = clock_places(times_s, "Europe/London")
    assert found.shape == (20, 5, 5)
    expected = [places_by_hand(int(time_s), "Europe/London") for time_s in times_s.ravel()]
    np.testing.assert_array_equal(found.reshape(-1, 5), expected)


def test_the_clock_is_that_of_the_request(shop: Shop) -> None:
    requests = shop.some_requests(5, horizon_s=9 * DAY_S)
    found = ClockContext().bind(shop.log, shop.spec)(requests).places.tolist()
    assert found == [places_by_hand(int(time_s), shop.log.timezone) for time_s in requests.times_s]


@pytest.mark.parametrize("horizon_days", [0, 40])
def test_the_last_events_are_known_and_the_newest_comes_first(horizon_days: int) -> None:
    log = replace(random_log(3, num_days=200), timezone="America/New_York")
    first_s = int(log.event_times_s.min())
    requests = Requests.of_baskets(log, np.arange(0, log.num_baskets, 3), Horizon(horizon_days * DAY_S))
    found = OwnEventsIndex(log, first_s, 6)(requests)
    for row in range(len(requests)):
        start, stop = log.user_offsets[requests.users[row]], log.user_offsets[requests.users[row] + 1]
        known = [e for e in range(start, stop) if log.event_times_s[e] < requests.known_until_s[row]][-6:][::-1]
        assert (~found.is_padding[row]).sum() == len(known)
        assert found.items[row].tolist() == [int(log.event_items[e]) for e in known] + [0] * (6 - len(known))
        places = [places_by_hand(int(log.event_times_s[e]), log.timezone) for e in known]
        assert found.places[row].tolist() == places + [[0] * 5] * (6 - len(known))
        days = [(int(log.event_times_s[e]) - first_s) / DAY_S for e in known] + [0.0] * (6 - len(known))
        np.testing.assert_allclose(found.log_days[row], days, rtol=1e-6)
    assert found.is_padding.any()
    assert not found.is_padding.all()
    part = found.rows(2, 4)
    assert part.items.equal(found.items[2:4])
