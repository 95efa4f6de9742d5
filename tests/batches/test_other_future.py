"""Other futures of a log: sound logs that agree with it before a moment and differ from it afterwards."""

import numpy as np
import pytest
from random_log import random_log
from small_shop import Shop

from seasonrec.batches.horizon import Horizon
from seasonrec.batches.other_future import another_future, later_births, replace_future, same_requests
from seasonrec.batches.requests import Requests
from seasonrec.data.log import EventLog


def known(log: EventLog, until_s: int) -> list[tuple[int, int, tuple[int, ...], bytes]]:
    """Returns user, time, items and values of all baskets before a second."""
    baskets = np.flatnonzero(log.basket_times_s < until_s)
    bounds = [(log.basket_offsets[basket], log.basket_offsets[basket + 1]) for basket in baskets]
    return [
        (
            int(log.basket_users[basket]),
            int(log.basket_times_s[basket]),
            tuple(log.event_items[start:stop].tolist()),
            log.event_values[start:stop].tobytes(),
        )
        for basket, (start, stop) in zip(baskets, bounds, strict=True)
    ]


def assert_sound(log: EventLog) -> None:
    for user in range(log.num_users):
        own = slice(log.user_baskets[user], log.user_baskets[user + 1])
        assert (log.basket_users[own] == user).all()
        assert (np.diff(log.basket_times_s[own]) >= 0).all()
        assert log.user_offsets[user] == log.basket_offsets[log.user_baskets[user]]
    sizes = np.diff(log.basket_offsets)
    assert (sizes > 0).all()
    assert log.basket_offsets[-1] == log.user_offsets[-1] == log.num_events == len(log.event_values)
    assert (log.event_times_s == np.repeat(log.basket_times_s, sizes)).all()
    pairs = np.repeat(np.arange(log.num_baskets), sizes) * log.num_items + log.event_items
    assert len(np.unique(pairs)) == log.num_events
    first = np.full(log.num_items, np.iinfo(np.int64).max)
    np.minimum.at(first, log.event_items, log.event_times_s)
    sold = first < np.iinfo(np.int64).max
    assert (log.item_first_seen_s[sold] == first[sold]).all()
    assert (log.item_first_seen_s[~sold] > log.basket_times_s.max()).all()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("horizon_s", [0, 5 * 86_400])
def test_another_future_is_a_sound_log_that_agrees_before_the_moment(seed: int, horizon_s: int) -> None:
    log = random_log(seed)
    for asked in np.random.default_rng(seed).choice(log.num_baskets, 12, replace=False).tolist():
        requests = Requests.of_baskets(log, np.array([asked]), Horizon(horizon_s))
        moment_s, user = int(requests.known_until_s[0]), int(requests.users[0])
        other = another_future(log, moment_s, asked)
        assert_sound(other)
        assert known(other, moment_s) == known(log, moment_s)
        again = int(same_requests(other, requests).baskets[0])
        assert (other.basket_users[again], other.basket_times_s[again]) == (user, requests.times_s[0])
        own = slice(*log.basket_offsets[[asked, asked + 1]])
        new = slice(*other.basket_offsets[[again, again + 1]])
        assert own.stop - own.start != new.stop - new.start
        assert not set(log.event_items[own].tolist()) & set(other.event_items[new].tolist())
        assert log.event_values[own].sum() != other.event_values[new].sum()
        assert np.diff(log.user_baskets)[user] != np.diff(other.user_baskets)[user]


def test_later_births_differ_in_the_same_order(shop: Shop) -> None:
    log, until_s = shop.log, int(np.median(shop.log.item_first_seen_s))
    births = later_births(log, until_s)
    late = log.item_first_seen_s >= until_s
    assert late.any()
    assert (births[~late] == log.item_first_seen_s[~late]).all()
    assert (births[late] > log.item_first_seen_s[late]).all()
    assert (np.argsort(births, kind="stable") == np.argsort(log.item_first_seen_s, kind="stable")).all()


def test_replaced_future_leaves_the_past_and_the_order(shop: Shop) -> None:
    log = shop.log
    moment = int(log.basket_times_s[50])
    other = replace_future(log, moment)
    past = log.event_times_s < moment
    assert (other.event_items[past] == log.event_items[past]).all()
    assert (other.event_times_s[past] == log.event_times_s[past]).all()
    assert (other.event_items[~past] != log.event_items[~past]).all()
    assert (other.event_times_s[~past] > log.event_times_s[~past]).all()
    assert (other.basket_times_s == other.event_times_s[other.basket_offsets[:-1]]).all()
    for user in range(log.num_users):
        own = other.event_times_s[log.user_offsets[user] : log.user_offsets[user + 1]]
        assert (np.diff(own) >= 0).all()
