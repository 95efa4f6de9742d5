"""Kept purchases of users with many: the same bits as sorted anew, in time and memory of the purchases."""

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
import torch
from counting import python_lines
from long_user import long_user

from seasonrec.batches.context import histories
from seasonrec.batches.context.activity import UserActivityContext
from seasonrec.batches.context.histories import Histories
from seasonrec.batches.context.known_items import KnownItems
from seasonrec.batches.context.own_history import OwnHistoryContext, OwnHistoryIndex
from seasonrec.batches.requests import Requests
from seasonrec.data.log import EventLog
from seasonrec.evaluation.baselines.ease import Ease, EaseCounts, EaseOptions
from seasonrec.evaluation.baselines.tifu_knn import TifuKnn, TifuOptions
from seasonrec.evaluation.baselines.up_cf import UpCf, UpCfOptions

LONG = 20_000
REQUESTS = 64
BYTES = 500
"""Ceiling of the memory of a batch per purchase of its users and per pair; the pairs of all requests and purchases are
64 times as many as the purchases."""


@pytest.fixture(scope="module")
def log() -> EventLog:
    return long_user(LONG)


def last_requests(log: EventLog, count: int = REQUESTS) -> Requests:
    """Returns the last requests of the long user, and some of others before and after it."""
    stop = int(log.user_baskets[4])
    return Requests.of_baskets(log, np.concatenate([[15, 35], np.arange(stop - count, stop), [stop + 9]]))


def contexts_of(log: EventLog, requests: Requests) -> bytes:
    own, activity = OwnHistoryContext().bind(log, None), UserActivityContext().bind(log, None)  # type: ignore[arg-type]
    found = [*vars(own(requests)).values(), *vars(activity(requests)).values()]
    pairs = KnownItems(log)(requests.users, requests.known_until_s)
    return b"".join(np.asarray(values).tobytes() for values in (*found, *pairs))


@pytest.mark.parametrize("kept_from", [1, 21, 41])
def test_kept_histories_have_the_bits_of_sorted_ones(kept_from: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests users of whom all, one or none are kept, with requests before the end of their histories."""
    log = long_user(300)
    baskets = np.concatenate([np.arange(12, 30), np.arange(100, 140), [355, 372]])
    expected = contexts_of(log, Requests.of_baskets(log, baskets))
    monkeypatch.setattr(histories, "MANY", kept_from)
    assert contexts_of(log, Requests.of_baskets(log, baskets)) == expected


def test_known_items_are_the_distinct_ones(log: EventLog) -> None:
    requests = last_requests(log, 5)
    request, item = KnownItems(log)(requests.users, requests.known_until_s)
    expected = []
    for number, (user, basket) in enumerate(zip(requests.users, requests.baskets, strict=True)):
        events = slice(int(log.user_offsets[user]), int(log.basket_offsets[basket]))
        expected += [(number, int(each)) for each in np.unique(log.event_items[events])]
    assert list(zip(request.tolist(), item.tolist(), strict=True)) == expected


def test_purchases_of_a_user_with_many_are_sorted_once(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    read, sort = [], histories.purchases
    monkeypatch.setattr(histories, "purchases", lambda *given: read.append(sort(*given)) or read[-1])
    index = OwnHistoryContext().bind(log, None)  # type: ignore[arg-type]
    for first in range(0, LONG - 1_000, 1_000):
        start = int(log.user_baskets[3]) + first
        index(Requests.of_baskets(log, np.arange(start, start + REQUESTS)))
    events = int(log.user_offsets[4] - log.user_offsets[3])
    assert sum(len(bought.items) for bought in read) == events


def test_the_least_lately_used_history_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    log = long_user(300)
    monkeypatch.setattr(histories, "MANY", 1)
    monkeypatch.setattr(histories, "KEPT_BYTES", 40 * 300)  # rows have 40 bytes
    kept = Histories(log)
    for user in (0, 1, 3, 0):
        kept(np.array([user]), np.asarray(log.user_baskets)[[user + 1]])
    assert list(kept._kept) == [0]
    assert kept(np.array([3]), np.asarray(log.user_baskets)[[4]]).nbytes > histories.KEPT_BYTES  # alone, it is kept
    assert list(kept._kept) == [3]


def test_of_very_many_items_those_bought_last_are_given(log: EventLog) -> None:
    requests = last_requests(log, 3)
    every, some = (OwnHistoryIndex(log, (7.0,), most_items=most)(requests) for most in (12, 5))
    assert some.request.bincount().tolist() == [5] * len(requests)
    for number in range(len(requests)):
        whole, part = every.rows(number, number + 1), some.rows(number, number + 1)
        assert part.item.tolist() == sorted(part.item.tolist())
        assert part.since_days.sort().values.equal(whole.since_days.sort().values[:5])
        kept = torch.isin(whole.item, part.item)
        assert part.count.equal(whole.count[kept])
        assert part.decayed.equal(whole.decayed[kept])
        assert part.rhythm.equal(whole.rhythm[kept])


def readers(log: EventLog) -> dict[str, Callable[[Requests], object]]:
    until_s = int(log.basket_times_s.max()) // 2
    known = KnownItems(log)
    return {
        "own history": OwnHistoryContext().bind(log, None),  # type: ignore[arg-type]
        "activity": UserActivityContext().bind(log, None),  # type: ignore[arg-type]
        "known items": lambda requests: known(requests.users, requests.known_until_s),
        "ease": Ease(EaseCounts(log, until_s), EaseOptions(500.0)),
        "up_cf": UpCf(log, until_s, UpCfOptions(None, 0.25, 5.0)),
    }


def test_memory_and_lines_follow_the_purchases_and_not_those_of_every_request(log: EventLog) -> None:
    requests = last_requests(log)
    events = int(log.user_offsets[4] - log.user_offsets[3])
    pairs = len(requests) * log.num_items
    for name, read in readers(log).items():
        lines = python_lines(lambda: read(requests))  # noqa: B023
        assert lines < LONG / 2, name
        tracemalloc.start()
        try:
            read(requests)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak <= BYTES * (events + pairs), name


def test_a_user_vector_reads_as_many_baskets_as_have_a_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compares with all baskets to the bit, and with portions of few requests."""
    log = long_user(6_000)
    requests, options = last_requests(log), TifuOptions(3, 0.9, 0.7, 900, 0.9)
    module = "seasonrec.evaluation.baselines.tifu_knn"
    expected = TifuKnn(log, 0, options)(requests)
    monkeypatch.setattr(f"{module}.BASKETS_AT_ONCE", 5_000)
    assert TifuKnn(log, 0, options)(requests).equal(expected)
    monkeypatch.setattr(f"{module}._reach", lambda options: 10**9)
    assert TifuKnn(log, 0, options)(requests).equal(expected)
