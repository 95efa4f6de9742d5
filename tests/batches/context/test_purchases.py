"""Sorted purchases and their running decay, against a loop over purchases."""

import numpy as np
import pytest
from random_log import DAY_S, random_log

from seasonrec.batches.context.purchases import purchases, running_decay
from seasonrec.data.preparation.merging import stable_order

DECAYS = np.log(2.0) / (np.asarray([3.0, 20.0]) * DAY_S)


@pytest.mark.parametrize("seed", range(2))
def test_sorted_by_user_item_and_time(seed: int) -> None:
    log = random_log(seed)
    users = np.asarray([3, 4, 17, 39])
    bought = purchases(log, log.user_baskets[users], log.user_baskets[users + 1])
    rows = []
    for place, user in enumerate(users.tolist()):
        for basket in range(log.user_baskets[user], log.user_baskets[user + 1]):
            for event in range(log.basket_offsets[basket], log.basket_offsets[basket + 1]):
                rows.append((place, int(log.event_items[event]), basket, int(log.event_times_s[event])))
    given = zip(bought.users, bought.items, bought.baskets, bought.times_s, strict=True)
    assert [tuple(int(value) for value in row) for row in given] == sorted(rows)
    pairs = [row[:2] for row in sorted(rows)]
    assert bought.starts.tolist() == [pairs.index(pair) for pair in pairs]
    assert bought.numbers.max() > 3
    assert bought.again.tolist() == [row for row in range(1, len(pairs)) if pairs[row] == pairs[row - 1]]


def test_users_without_baskets_have_no_rows() -> None:
    log = random_log(0)
    first = log.user_baskets[[2, 5]]
    bought = purchases(log, first, first)
    assert len(bought.items) == len(bought.again) == 0
    assert running_decay(bought, DECAYS).shape == (0, 2)


def test_keys_too_large_for_one_number_are_sorted_all_the_same() -> None:
    keys = np.asarray([5, 1, 5, 0, 1])
    for many in (keys, keys << 58):
        assert stable_order(many).tolist() == [3, 1, 4, 0, 2]


def test_decay_equals_the_recurrence_to_the_bit() -> None:
    log = random_log(7)
    bought = purchases(log, log.user_baskets[:-1], log.user_baskets[1:])
    expected = np.ones((len(bought.items), 2), dtype=np.float32)
    for row in bought.again.tolist():
        gap_s = bought.times_s[row] - bought.times_s[row - 1]
        expected[row] += expected[row - 1] * np.exp(-gap_s * DECAYS)
    assert running_decay(bought, DECAYS).tobytes() == expected.tobytes()
    assert expected.max() > 3
