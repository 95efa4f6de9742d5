"""Portions of a log: each event once, in order, with whole users and baskets."""

import numpy as np
import pytest
from random_log import random_log

from seasonrec.data.portions import basket_portions, user_portions


@pytest.mark.parametrize("max_events", [1, 5, 60, 10_000])
def test_portions_cover_the_log(max_events: int) -> None:
    log = random_log(0)
    baskets, events = zip(*basket_portions(log, max_events), strict=True)
    assert np.concatenate([np.arange(log.num_baskets)[part] for part in baskets]).tolist() == list(
        range(log.num_baskets)
    )
    for part, own in zip(baskets, events, strict=True):
        assert (own.start, own.stop) == (log.basket_offsets[part.start], log.basket_offsets[part.stop])
        assert own.stop - own.start <= max_events or part.stop - part.start == 1
    users = list(user_portions(log, max_events))
    assert [user for part in users for user in range(part.start, part.stop)] == list(range(log.num_users))
    assert all(
        log.user_offsets[part.stop] - log.user_offsets[part.start] <= max_events or part.stop - part.start == 1
        for part in users
    )
