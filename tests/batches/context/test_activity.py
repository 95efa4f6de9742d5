"""Activity of users against a count basket by basket."""

import numpy as np
from small_shop import Shop

from seasonrec.batches.context.activity import NEVER_DAYS, UserActivityContext
from seasonrec.batches.horizon import Horizon
from seasonrec.batches.requests import Requests

DAY = 86_400


def test_equals_a_count_of_baskets(shop: Shop) -> None:
    log = shop.log
    baskets = np.sort(np.random.default_rng(1).choice(log.num_baskets, 40, replace=False))
    requests = Requests.of_baskets(log, baskets, Horizon(3 * DAY))
    found = UserActivityContext().bind(log, shop.spec)(requests)
    for number in range(len(requests)):
        user, until_s = int(requests.users[number]), int(requests.known_until_s[number])
        own = range(int(log.user_baskets[user]), int(log.user_baskets[user + 1]))
        known = [basket for basket in own if log.basket_times_s[basket] < until_s]
        events = [log.event_items[log.basket_offsets[b] : log.basket_offsets[b + 1]].tolist() for b in known]
        assert found.baskets[number] == len(known)
        assert found.events[number] == sum(map(len, events))
        assert found.items[number] == len({item for basket in events for item in basket})
        last_s = int(log.basket_times_s[known[-1]]) if known else None
        since = NEVER_DAYS if last_s is None else (requests.times_s[number] - last_s) / DAY
        np.testing.assert_allclose(found.since_days[number], since, rtol=1e-6)


def test_a_user_without_a_basket_was_never_here(shop: Shop) -> None:
    first_s = int(shop.log.event_times_s.min())
    alone = Requests(np.array([0]), np.array([first_s]), np.array([first_s]), np.array([-1]))
    found = UserActivityContext().bind(shop.log, shop.spec)(alone)
    assert [float(value) for value in vars(found).values()] == [0.0, 0.0, 0.0, NEVER_DAYS]
