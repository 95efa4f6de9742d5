"""Trend against a slow count of the days before the request's day."""

import math
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from small_shop import Shop

from seasonrec.batches.audit import replace_future
from seasonrec.batches.context.daily_counts import DailyCounts
from seasonrec.batches.context.momentum import MomentumContext
from seasonrec.batches.horizon import Horizon
from seasonrec.batches.requests import Requests
from seasonrec.data.log import EventLog

DAY = 86_400


def day_of(log: EventLog, time_s: int) -> int:
    return datetime.fromtimestamp(time_s, ZoneInfo(log.timezone)).toordinal()


def slow_count(log: EventLog, day: int, length: int | None) -> list[int]:
    """Counts the events of each item on the ``length`` local days before ``day``, an ordinal."""
    counts = [0] * log.num_items
    for item, time_s in zip(log.event_items.tolist(), log.event_times_s.tolist(), strict=True):
        of_event = day_of(log, time_s)
        if of_event < day and (length is None or of_event >= day - length):
            counts[item] += 1
    return counts


def test_windows_equal_a_slow_count(shop: Shop) -> None:
    log = shop.log
    requests = Requests.of_baskets(log, np.linspace(0, log.num_baskets - 1, 5).astype(np.int64))
    counts = DailyCounts(log)
    days = counts.known_days(requests)
    for number, time_s in enumerate(requests.times_s.tolist()):
        for length in (1, 7, 28, None):
            got = counts.window(days[number : number + 1], length)[0]
            assert got.tolist() == slow_count(log, day_of(log, time_s), length)


def test_ratios_equal_the_formula(shop: Shop) -> None:
    log = shop.log
    request = Requests.of_baskets(log, shop.split.validation_baskets(log)[:1])
    momentum = MomentumContext((7, 28), prior_events=5.0).bind(log, shop.spec)(request)
    day = day_of(log, int(request.times_s[0]))
    total = slow_count(log, day, None)
    share = [(count + 1) / (sum(total) + len(total)) for count in total]
    categories = log.item_categories.tolist()
    for place, length in enumerate((7, 28)):
        window = slow_count(log, day, length)
        for item in range(log.num_items):
            same = [other for other in range(log.num_items) if categories[other] == categories[item]]
            expected = math.log((window[item] + 5) / (share[item] * sum(window) + 5))
            group, group_share = sum(window[other] for other in same), sum(share[other] for other in same)
            expected_group = math.log((group + 5) / (group_share * sum(window) + 5))
            assert float(momentum.item[0, item, place]) == pytest.approx(expected, abs=1e-5)
            assert float(momentum.category[0, item, place]) == pytest.approx(expected_group, abs=1e-5)


def test_an_item_without_a_sale_in_the_longest_look_back_is_unsold(shop: Shop) -> None:
    log = shop.log
    request = Requests.of_baskets(log, shop.split.validation_baskets(log)[:1])
    momentum = MomentumContext((5, 1), prior_events=5.0).bind(log, shop.spec)(request)
    day = day_of(log, int(request.times_s[0]))
    total, window = slow_count(log, day, None), slow_count(log, day, 5)
    share = [(count + 1) / (sum(total) + len(total)) for count in total]
    expected = [-math.log1p(share[item] * sum(window)) if window[item] == 0 else 0.0 for item in range(log.num_items)]
    assert 0 < sum(value < 0 for value in expected) < log.num_items
    assert momentum.unsold[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_own_day_is_not_read(shop: Shop) -> None:
    """Replaces everything from the midnight before the request on: nothing may change."""
    log = shop.log
    request = Requests.of_baskets(log, shop.split.validation_baskets(log)[40:41])
    zone = ZoneInfo(log.timezone)
    local = datetime.fromtimestamp(int(request.times_s[0]), zone)
    midnight = int(datetime(local.year, local.month, local.day, tzinfo=zone).timestamp())
    context = MomentumContext((28,))
    expected = context.bind(log, shop.spec)(request)
    same = context.bind(replace_future(log, midnight), shop.spec)(request)
    other = context.bind(replace_future(log, midnight - 14 * DAY), shop.spec)(request)
    assert expected.item.equal(same.item)
    assert not expected.item.equal(other.item)


def test_horizon_ends_the_windows_earlier(shop: Shop) -> None:
    log = shop.log
    basket = shop.split.validation_baskets(log)[30:31]
    late = Requests.of_baskets(log, basket, Horizon(10 * DAY))
    early = Requests(late.users, late.known_until_s, late.known_until_s, late.baskets)
    context = MomentumContext().bind(log, shop.spec)
    assert context(late).item.equal(context(early).item)


def test_requests_of_one_day_share_a_row(shop: Shop) -> None:
    log = shop.log
    requests = shop.some_requests(30)
    momentum = MomentumContext().bind(log, shop.spec)(requests)
    days = [day_of(log, time_s) for time_s in requests.times_s.tolist()]
    assert len(momentum.item) == len(set(days)) < len(days)
    assert [sorted(set(days))[row] for row in momentum.row.tolist()] == days


@pytest.mark.parametrize("shift_days", [-400, 800])
def test_outside_the_log_the_nearest_end_counts(shop: Shop, shift_days: int) -> None:
    end = shop.spec.first_time_s if shift_days < 0 else shop.spec.last_time_s
    times = np.asarray([end + shift_days * DAY])
    momentum = MomentumContext().bind(shop.log, shop.spec)(Requests(times * 0, times, times, times * 0 - 1))
    assert momentum.item.isfinite().all()
    assert bool(momentum.item.any()) == (shift_days > 0)
