"""Excerpts with the same events of their users as the whole log."""

import numpy as np
from random_log import DAY_S, random_log

from seasonrec.batches.context.own_history import OwnHistoryContext
from seasonrec.batches.excerpt import excerpt
from seasonrec.batches.horizon import Horizon
from seasonrec.batches.requests import Requests


def test_small_log_is_taken_whole() -> None:
    log = random_log(0)
    requests = Requests.of_baskets(log, np.arange(0, log.num_baskets, 3))
    part = excerpt(log, requests.users, log.num_events)
    assert part.log is log
    assert (part.requests(requests).baskets == requests.baskets).all()


def test_users_of_the_excerpt_are_whole_and_its_requests_the_same() -> None:
    log = random_log(1)
    requests = Requests.of_baskets(log, np.arange(5, log.num_baskets, 70), Horizon(2 * DAY_S))
    part = excerpt(log, requests.users, log.num_events // 8)
    assert part.log.num_users < log.num_users
    assert set(range(0, log.num_users, 8)) | set(requests.users.tolist()) <= set(part.users.tolist())
    for number, user in enumerate(part.users.tolist()):
        own = slice(part.log.user_offsets[number], part.log.user_offsets[number + 1])
        whole = slice(log.user_offsets[user], log.user_offsets[user + 1])
        for name in ("event_items", "event_times_s", "event_values"):
            assert (getattr(part.log, name)[own] == getattr(log, name)[whole]).all()
        assert part.log.users["user_id"][number] == log.users["user_id"][user]
    assert (part.log.basket_times_s == part.log.event_times_s[part.log.basket_offsets[:-1]]).all()
    moved = part.requests(requests)
    again = Requests.of_baskets(part.log, moved.baskets, Horizon(2 * DAY_S))
    assert all((getattr(moved, name) == getattr(again, name)).all() for name in ("users", "times_s", "known_until_s"))
    context = OwnHistoryContext()
    there = context.bind(log, None)(requests)  # type: ignore[arg-type]
    here = context.bind(part.log, None)(moved)  # type: ignore[arg-type]
    assert all(value.equal(getattr(here, name)) for name, value in vars(there).items())
    nobody = Requests(requests.users, requests.times_s, requests.known_until_s, requests.baskets * 0 - 1)
    assert (part.requests(nobody).baskets == -1).all()
