"""Own history against a reference that counts event by event."""

from itertools import pairwise

import numpy as np
import pytest
from small_shop import Shop

from seasonrec.batches.context.own_history import LAST_BASKETS, OwnHistory, OwnHistoryContext
from seasonrec.batches.horizon import Horizon
from seasonrec.batches.requests import Requests
from seasonrec.data.log import EventLog

DAY = 86_400
HALF_LIVES = (5.0, 40.0)


def known_baskets(log: EventLog, user: int, until_s: int) -> list[int]:
    owned = range(int(log.user_baskets[user]), int(log.user_baskets[user + 1]))
    return [basket for basket in owned if log.basket_times_s[basket] < until_s]


def items_of(log: EventLog, basket: int) -> list[int]:
    return log.event_items[log.basket_offsets[basket] : log.basket_offsets[basket + 1]].tolist()


def slow(log: EventLog, user: int, time_s: int, until_s: int) -> dict[int, tuple[list[float], list[bool]]]:
    """Returns ``[count, decays..., since, interval]`` and the presence in the last baskets, newest first, by item."""
    baskets = known_baskets(log, user, until_s)
    times: dict[int, list[int]] = {}
    for basket in baskets:
        for item in items_of(log, basket):
            times.setdefault(item, []).append(int(log.basket_times_s[basket]))
    found = {}
    for item, bought in times.items():
        decays = [sum(0.5 ** ((time_s - t) / DAY / half_life) for t in bought) for half_life in HALF_LIVES]
        gaps = [later - earlier for earlier, later in pairwise(bought)]
        interval = sum(gaps) / len(gaps) / DAY if gaps else 0.0
        present = [item in items_of(log, basket) for basket in baskets[::-1][:LAST_BASKETS]]
        present += [False] * (LAST_BASKETS - len(present))
        found[item] = ([len(bought), *decays, (time_s - bought[-1]) / DAY, interval], present)
    return found


def assert_equals_reference(log: EventLog, requests: Requests) -> OwnHistory:
    own = OwnHistoryContext(HALF_LIVES).bind(log, None)(requests)  # type: ignore[arg-type]
    assert (np.diff(own.request.numpy()) >= 0).all()
    pairs = 0
    for number in range(len(requests)):
        user, time_s, until_s = (int(a[number]) for a in (requests.users, requests.times_s, requests.known_until_s))
        expected = slow(log, user, time_s, until_s)
        rows = np.flatnonzero(own.request.numpy() == number)
        assert sorted(own.item[rows].tolist()) == sorted(expected)
        for row in rows:
            numbers, present = expected[int(own.item[row])]
            given = [own.count[row], *own.decayed[row], own.since_days[row], own.own_interval_days[row]]
            np.testing.assert_allclose([float(value) for value in given], numbers, rtol=1e-4, atol=1e-5)
            assert own.in_last_baskets[row].bool().tolist() == present
        assert own.user_baskets[number] == len(known_baskets(log, user, until_s))
        pairs += len(rows)
    assert pairs == len(own.request)
    return own


@pytest.mark.parametrize("horizon_days", [0, 1, 30])
def test_baskets_of_the_log_equal_the_reference(shop: Shop, horizon_days: int) -> None:
    baskets = np.random.default_rng(0).choice(shop.log.num_baskets, 60, replace=False)
    requests = Requests.of_baskets(shop.log, np.sort(baskets), Horizon(horizon_days * DAY))
    own = assert_equals_reference(shop.log, requests)
    assert own.in_last_baskets.sum(0).min() > 0
    assert own.own_interval_days.max() > 0


def test_any_second_equals_the_reference(shop: Shop) -> None:
    """Tests times at, one second before and after a purchase, and before and after the log."""
    log = shop.log
    at = log.basket_times_s[::97]
    times = np.concatenate([at, at - 1, at + 1, [log.event_times_s.min() - DAY, log.event_times_s.max() + 50 * DAY]])
    users = np.concatenate([np.tile(log.basket_users[::97], 3), [0, 1]]).astype(np.int64)
    assert_equals_reference(log, Requests(users, times, times, np.full(len(times), -1)))


def test_user_without_history_has_no_pairs(shop: Shop) -> None:
    first = shop.log.user_baskets[:3]
    own = OwnHistoryContext().bind(shop.log, shop.spec)(Requests.of_baskets(shop.log, first))
    assert len(own.request) == 0
    assert own.decayed.shape == (0, 3)
    assert own.in_last_baskets.shape == (0, LAST_BASKETS)
    assert own.user_baskets.tolist() == [0.0, 0.0, 0.0]
