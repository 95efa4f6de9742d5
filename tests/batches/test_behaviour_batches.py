"""Behaviours in batches: sequences of all events, purchases of the target alone, audit, excerpts."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_clicks import with_clicks
from small_shop import MAX_SEQ_LEN, Shop

from seasonrec.batches.audit import Audited, LeakError, audit
from seasonrec.batches.context.own_history import OwnHistoryContext
from seasonrec.batches.excerpt import excerpt_of
from seasonrec.batches.horizon import Horizon
from seasonrec.batches.loader import BatchBuilder, LoaderOptions, TrainingLoader
from seasonrec.batches.other_future import another_future


@pytest.fixture(scope="module")
def clicks(shop: Shop) -> Shop:
    return with_clicks(shop)


def read_before(shop: Shop, user: int, until_s: int) -> tuple[list[int], list[int]]:
    """Returns items and behaviours of the last events of a user before a second, read one by one."""
    whole = shop.log.sequences
    events = range(int(whole.user_offsets[user]), int(whole.user_offsets[user + 1]))
    before = [event for event in events if whole.event_times_s[event] < until_s][-MAX_SEQ_LEN:]
    assert whole.event_behaviours is not None
    return [int(whole.event_items[e]) for e in before], [int(whole.event_behaviours[e]) for e in before]


@pytest.mark.parametrize("horizon_s", [0, 10 * 86_400])
def test_windows_hold_all_events_before_the_request(clicks: Shop, horizon_s: int) -> None:
    requests = clicks.some_requests(12, horizon_s)
    batch = clicks.builder({})(requests)
    assert batch.behaviours is not None
    for row, (user, until_s) in enumerate(zip(requests.users, requests.known_until_s, strict=True)):
        position = int(batch.request_position[row])
        items, told = read_before(clicks, int(user), int(until_s))
        assert batch.item_ids[row, :position].tolist() == items
        assert batch.behaviours[row, :position].tolist() == told


def test_targets_and_counts_are_purchases(clicks: Shop) -> None:
    whole = clicks.log.sequences
    assert whole.event_behaviours is not None
    assert clicks.log.num_events == (whole.event_behaviours == 0).sum()
    requests = clicks.some_requests(12)
    batch = clicks.builder({"own_history": OwnHistoryContext()})(requests)
    found = batch.context["own_history"]
    bought = (whole.event_behaviours == 0) & (
        np.repeat(np.arange(24), np.diff(whole.user_offsets)) == requests.users[5]
    )
    bought &= whole.event_times_s < requests.known_until_s[5]
    assert found.count[found.request == 5].sum() == bought.sum() > 0
    asked = (whole.event_times_s == requests.times_s[5]) & (whole.event_behaviours == 0)
    targets = batch.target_items[batch.target_request == 5].tolist()
    assert targets
    assert set(targets) <= set(whole.event_items[asked].tolist())


@pytest.mark.parametrize("horizon_s", [0, 10 * 86_400])
def test_training_windows_serve_the_same_histories(clicks: Shop, horizon_s: int) -> None:
    options = LoaderOptions(batch_size=60, min_context_share=0.5)
    baskets = clicks.split.train_baskets(clicks.log)
    seen = 0
    for batch in TrainingLoader(clicks.builder({}), baskets, options, Horizon(horizon_s), seed=3):
        assert batch.behaviours is not None
        for request in range(0, batch.num_requests, 7):
            window, position = int(batch.request_window[request]), int(batch.request_position[request])
            until_s = int(batch.request_time_s[request]) - horizon_s
            items, told = read_before(clicks, int(batch.user_ids[request]), until_s)
            assert position >= min(len(items), MAX_SEQ_LEN // 2)
            assert batch.item_ids[window, :position].tolist() == items[len(items) - position :]
            assert batch.behaviours[window, :position].tolist() == told[len(told) - position :]
            seen += 1
    assert seen > 20


def test_audit_passes_and_finds_views_of_the_future(clicks: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"facts": clicks.facts()}
    run = Audited(clicks.log, clicks.spec, clicks.split, MAX_SEQ_LEN, made=made, made_again=made)
    assert len(audit(run)) == 5

    def late(self: BatchBuilder, requests: object) -> object:
        one = replace(requests, known_until_s=requests.known_until_s + 30 * 86_400)  # type: ignore[attr-defined, type-var]
        return np.minimum(ends(self, one), self.log.sequences.user_offsets[one.users + 1])  # type: ignore[arg-type, attr-defined]

    ends = BatchBuilder.history_ends
    monkeypatch.setattr(BatchBuilder, "history_ends", late)
    with pytest.raises(LeakError, match="a target visible in its own input, training part"):
        audit(run)


def test_another_future_changes_the_views_too(clicks: Shop) -> None:
    moment = clicks.split.validation_from_s
    other = another_future(clicks.log, moment)
    for before, after in ((clicks.log, other), (clicks.log.sequences, other.sequences)):
        early, still = (each.event_times_s < moment for each in (before, after))
        assert np.array_equal(before.event_items[early], after.event_items[still])
        assert early.sum() == still.sum() < after.num_events
    told, again = clicks.log.sequences.event_behaviours, other.sequences.event_behaviours
    assert told is not None
    assert again is not None
    assert np.array_equal(
        told[clicks.log.sequences.event_times_s < moment], again[other.sequences.event_times_s < moment]
    )
    first = np.full(other.num_items, np.iinfo(np.int64).max)
    for log in (other, other.sequences):
        np.minimum.at(first, log.event_items, log.event_times_s)
    assert (other.item_first_seen_s <= first).all()


def test_an_excerpt_keeps_all_events_of_its_users(clicks: Shop) -> None:
    few = excerpt_of(clicks.log, np.array([3, 8])).log
    whole = clicks.log.sequences
    expected = np.concatenate([whole.event_items[whole.user_offsets[u] : whole.user_offsets[u + 1]] for u in (3, 8)])
    assert np.array_equal(few.sequences.event_items, expected)
    assert few.sequences.event_behaviours is not None
    assert len(few.sequences.event_behaviours) == few.sequences.num_events > few.num_events


def test_a_log_without_behaviours_has_none_in_its_batches(shop: Shop) -> None:
    batch = shop.builder({})(shop.some_requests(3))
    assert batch.behaviours is None
    assert batch.to("cpu").behaviours is None
    assert batch.told(torch.neg) is None
