from dataclasses import replace

import numpy as np
import pytest
from random_log import log_of

from seasonrec.batches.candidates import NEVER_S, available_targets, candidates_until_s
from seasonrec.batches.horizon import Horizon
from seasonrec.batches.loader import BatchBuilder
from seasonrec.batches.requests import Requests
from seasonrec.data.log import EventLog
from seasonrec.data.spec import SECONDS_PER_DAY

HORIZON_S = 7 * SECONDS_PER_DAY


@pytest.fixture(scope="module")
def log() -> EventLog:
    """Returns a log in which item 1 is first sold within a week before the last basket, and item 2 in it."""
    days = np.array([1, 24, 20])
    return log_of(np.array([0, 0, 1]), days * SECONDS_PER_DAY, np.array([1, 3, 2]), np.array([0, 0, 1, 2, 0, 1]), 3)


def last_basket(log: EventLog, horizon_s: int) -> Requests:
    return Requests.of_baskets(log, np.flatnonzero(log.basket_times_s == log.basket_times_s.max()), Horizon(horizon_s))


@pytest.mark.parametrize(
    ("rule", "horizon_s", "items"),
    [
        ("known", 0, [0, 1]),
        ("known", HORIZON_S, [0]),  # item 1 is born inside the horizon
        ("before_request", HORIZON_S, [0, 1]),
        ("all", HORIZON_S, [0, 1, 2]),
    ],
)
def test_candidates_were_first_sold_strictly_before_the_end_of_their_rule(log, rule, horizon_s, items):
    requests = last_basket(log, horizon_s)
    request, found, unavailable = available_targets(log, requests, rule)
    assert (request.tolist(), found.tolist(), unavailable.tolist()) == ([0] * len(items), items, [3 - len(items)])
    assert np.flatnonzero(log.item_first_seen_s < candidates_until_s(rule, requests)).tolist() == items
    batch = BatchBuilder(log, {}, 4, candidates=rule)(requests)
    assert (batch.target_items.tolist(), batch.unavailable.tolist()) == (items, [3 - len(items)])
    assert batch.candidates_until_s.tolist() == candidates_until_s(rule, requests).tolist()


def test_a_request_without_a_basket_has_no_targets(log):
    requests = replace(last_basket(log, 0), baskets=np.array([-1]))
    request, items, unavailable = available_targets(log, requests, "known")
    assert (len(request), len(items), unavailable.tolist()) == (0, 0, [0])
    assert candidates_until_s("all", requests).tolist() == [NEVER_S]
