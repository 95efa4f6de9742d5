"""Values of and times between users' earlier baskets, against a loop over the baskets."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from small_shop import Shop

from seasonrec.batches.context.own_amounts import OwnAmounts, OwnGapsContext, OwnValuesContext
from seasonrec.batches.horizon import Horizon
from seasonrec.batches.requests import Requests
from seasonrec.data.calendar import local_days
from seasonrec.data.log import EventLog

DAY = 86_400


def known(log: EventLog, user: int, until_s: int) -> list[int]:
    owned = range(int(log.user_baskets[user]), int(log.user_baskets[user + 1]))
    return [basket for basket in owned if log.basket_times_s[basket] < until_s]


def values(log: EventLog, baskets: list[int]) -> list[float]:
    bounds = [(int(log.basket_offsets[basket]), int(log.basket_offsets[basket + 1])) for basket in baskets]
    sums = [float(log.event_values[first:stop].sum(dtype=np.float64)) for first, stop in bounds]
    return [math.log1p(max(value, 0.0)) for value in sums if not math.isnan(value)]


def gaps(log: EventLog, baskets: list[int], merge_same_day: bool) -> list[float]:
    times = [int(log.basket_times_s[basket]) for basket in baskets]
    if merge_same_day:
        days = local_days(np.array(times, dtype=np.int64), log.timezone).tolist()
        times = [time for place, time in enumerate(times) if days[place] not in days[:place]]
    return [math.log(max((b - a) / DAY, 1 / 24)) for a, b in pairwise(times)]


def assert_moments(found: OwnAmounts, place: int, expected: list[float]) -> None:
    assert found.count[place] == len(expected)
    assert found.mean[place].item() == pytest.approx(np.mean(expected) if expected else 0.0, abs=1e-4)
    assert found.variance[place].item() == pytest.approx(np.var(expected) if expected else 0.0, abs=1e-3)


@pytest.mark.parametrize("horizon_days", [0, 9])
def test_moments_equal_a_count_basket_by_basket(shop: Shop, horizon_days: int) -> None:
    log: Any = shop.log
    chosen = np.sort(np.random.default_rng(0).choice(log.num_baskets, 80, replace=False))
    requests = Requests.of_baskets(log, chosen, Horizon(horizon_days * DAY))
    own = OwnValuesContext().bind(log, shop.spec)(requests)
    merged, apart = (OwnGapsContext(merge).bind(log, shop.spec)(requests) for merge in (True, False))
    for place in range(len(requests)):
        baskets = known(log, int(requests.users[place]), int(requests.known_until_s[place]))
        assert_moments(own, place, values(log, baskets))
        assert_moments(merged, place, gaps(log, baskets, True))
        assert_moments(apart, place, gaps(log, baskets, False))
        since = (requests.times_s[place] - log.basket_times_s[baskets[-1]]) / DAY if baskets else 0.0
        assert own.since_days[place].item() == pytest.approx(since, rel=1e-5)
    assert own.count.max() > 3
    assert torch.equal(merged.rows(3, 9).mean, merged.mean[3:9])


def test_a_start_is_everybodys_without_amounts_and_the_users_own_with_many() -> None:
    usual = torch.tensor([1.0, 0.5])
    own = OwnAmounts(
        *(torch.tensor(column) for column in ([0.0, 3.0, 1e7], [0.0, 2.0, 4.0], [0.0, 0.1, 0.3], [0.0] * 3))
    )
    mean, spread = own.start(usual, 2.0)
    assert (mean[0].item(), spread[0].item()) == (1.0, 0.5)
    assert mean[1].item() == pytest.approx((3 * 2.0 + 2 * 1.0) / 5)
    squares = 3 * (0.1 + 2.0**2) + 2 * (0.5**2 + 1.0**2)
    assert spread[1].item() == pytest.approx((squares / 5 - mean[1].item() ** 2) ** 0.5, rel=1e-5)
    assert (mean[2].item(), spread[2].item()) == pytest.approx((4.0, 0.3**0.5), rel=1e-4)
