"""Leak audit: a valid log passes, each kind of leak is refused."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_shop import Shop

from seasonrec.batches import audit as module
from seasonrec.batches.audit import LeakError, audit, replace_future
from seasonrec.batches.context.base import Context
from seasonrec.batches.context.calendar import CalendarContext
from seasonrec.batches.context.last_year import LastYearContext
from seasonrec.batches.context.momentum import MomentumContext
from seasonrec.batches.context.own_history import OwnHistoryContext
from seasonrec.batches.facts import Facts
from seasonrec.batches.labels.base import BoundLabels, Cuts
from seasonrec.batches.requests import Requests
from seasonrec.batches.splits import Split
from seasonrec.batches.user_pools import Period
from seasonrec.data.log import EventLog
from seasonrec.data.spec import DataSpec

DAY = 86_400
CONTEXTS: dict[str, Context] = {
    "own_history": OwnHistoryContext(),
    "momentum": MomentumContext(),
    "calendar": CalendarContext(),
    "last_year": LastYearContext(),
}


def run(shop: Shop, contexts: dict[str, Context] = CONTEXTS, horizon_s: int = 0, **other: Any) -> list[str]:
    given = {"log": shop.log, "spec": shop.spec, "split": shop.split, "facts": shop.facts()} | other
    return audit(given["log"], given["spec"], given["split"], given["facts"], contexts, horizon_s, given.get("labels"))


@pytest.mark.parametrize("horizon_days", [0, 14])
def test_sound_log_passes(shop: Shop, horizon_days: int) -> None:
    lines = run(shop, horizon_s=horizon_days * DAY)
    assert len(lines) == 4
    assert any("['calendar', 'last_year', 'momentum', 'own_history']" in line for line in lines)


@pytest.fixture
def long_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the shop count as a long log, of which the audit replaces an excerpt."""
    monkeypatch.setattr(module, "AUDITED_EVENTS", 200)
    monkeypatch.setattr(module, "SAMPLED_BASKETS", 20)
    monkeypatch.setattr(module, "SAMPLE", 4)


@pytest.mark.usefixtures("long_log")
def test_long_log_passes_and_is_audited_in_part(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    replaced: list[int] = []

    def noted(log: EventLog, moment_s: int) -> EventLog:
        replaced.append(log.num_users)
        return replace_future(log, moment_s)

    monkeypatch.setattr(module, "replace_future", noted)
    assert run(shop)
    assert max(replaced) < shop.log.num_users


@pytest.mark.usefixtures("long_log")
def test_last_request_of_a_long_log_is_looked_at(shop: Shop) -> None:
    for cut in range(30, 60):
        baskets = np.arange(cut)
        asked = module._sample(shop.log, baskets, 0)
        assert len(asked) == 4
        assert asked.times_s.max() == shop.log.basket_times_s[baskets].max()


@pytest.mark.usefixtures("long_log")
def test_leaks_of_a_long_log(shop: Shop) -> None:
    with pytest.raises(LeakError, match=r"context\.peek\.tensor of training requests up to second \d+ changes"):
        run(shop, {"peek": PeekingContext(sales_up_to_the_request)})
    late = Facts.of(shop.log, replace(shop.spec, train_until_s=shop.spec.last_time_s), 16, 12, shop.cache_dir)
    facts = replace(shop.facts(), item_train_counts=late.item_train_counts)
    with pytest.raises(LeakError, match=r"facts\.item_train_counts is not what the events before second \d+ give"):
        run(shop, facts=facts)


def test_statistic_that_reads_what_comes_after_the_cut(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit of a long log also tests the excerpt's statistics: given ones could be wrong in the same way twice."""
    of = Facts.of

    def reads_all(log: EventLog, spec: DataSpec, *sizes: Any) -> Facts:
        return of(log, replace(spec, train_until_s=spec.last_time_s), *sizes)

    facts = reads_all(shop.log, shop.spec, 16, 12, shop.cache_dir)
    monkeypatch.setattr(Facts, "of", reads_all)
    monkeypatch.setattr(module, "AUDITED_EVENTS", 200)
    with pytest.raises(LeakError, match=r"facts\.item_train_counts changes when the events from second \d+ on are"):
        run(shop, facts=facts)


def test_context_that_leaks_for_chosen_items_alone(shop: Shop) -> None:
    class Sly(PeekingContext):
        def bind(self, log: EventLog, spec: DataSpec) -> Callable[..., Peek]:
            def compute(requests: Requests, items: NDArray[np.int64] | None = None) -> Peek:
                return Peek(torch.zeros(1) if items is None else torch.from_numpy(all_sales(log, requests)[:, items]))

            return compute

    with pytest.raises(LeakError, match=r"context of some items\.peek\.tensor of training requests"):
        run(shop, {"peek": Sly(first_target)})


@dataclass(frozen=True)
class Peek:
    tensor: torch.Tensor


@dataclass(frozen=True)
class PeekingContext:
    """Context with the result of ``look``."""

    look: Callable[[EventLog, Requests], NDArray[Any]]
    name: str = "peek"

    def bind(self, log: EventLog, spec: DataSpec) -> Callable[..., Peek]:
        return lambda requests, items=None: Peek(torch.from_numpy(np.asarray(self.look(log, requests))))


def first_target(log: EventLog, requests: Requests) -> NDArray[Any]:
    return log.event_items[log.basket_offsets[requests.baskets]]


def next_visit(log: EventLog, requests: Requests) -> NDArray[Any]:
    following = log.baskets_before(requests.users, requests.known_until_s + 1)
    return log.basket_times_s[np.minimum(following, log.num_baskets - 1)]


def sales(log: EventLog, chosen: list[NDArray[np.bool_]]) -> NDArray[Any]:
    return np.stack([np.bincount(log.event_items[events], minlength=log.num_items) for events in chosen])


def sales_up_to_the_request(log: EventLog, requests: Requests) -> NDArray[Any]:
    return sales(log, [log.event_times_s <= time_s for time_s in requests.times_s])


def all_sales(log: EventLog, requests: Requests) -> NDArray[Any]:
    return sales(log, [log.event_times_s > 0 for _ in requests.times_s])


@pytest.mark.parametrize("look", [first_target, next_visit, sales_up_to_the_request, all_sales])
def test_context_that_reads_the_future(shop: Shop, look: Callable[..., Any]) -> None:
    message = r"a target visible in its own input: context\.peek\.tensor of training requests up to second \d+ changes"
    with pytest.raises(LeakError, match=message):
        run(shop, {"peek": PeekingContext(look)})


def test_context_that_ignores_the_horizon(shop: Shop) -> None:
    def sales_before_the_request(log: EventLog, requests: Requests) -> NDArray[Any]:
        return sales(log, [log.event_times_s < time_s for time_s in requests.times_s])

    peek: dict[str, Context] = {"peek": PeekingContext(sales_before_the_request)}
    assert run(shop, peek)
    with pytest.raises(LeakError, match=r"context\.peek\.tensor of training requests"):
        run(shop, peek, horizon_s=30 * DAY)


@pytest.mark.parametrize("name", ["item_train_counts", "item_interval_days"])
def test_statistic_from_after_the_cut(shop: Shop, name: str) -> None:
    late = Facts.of(shop.log, replace(shop.spec, train_until_s=shop.spec.last_time_s), 16, 12, shop.cache_dir)
    facts = replace(shop.facts(), **{name: getattr(late, name)})
    message = rf"statistics from after the cut: facts\.{name} changes when the events from second \d+ on are replaced"
    with pytest.raises(LeakError, match=message):
        run(shop, facts=facts)


def test_basket_from_after_the_cut_in_training(shop: Shop) -> None:
    class Greedy(Split):
        def train_baskets(self, log: EventLog) -> NDArray[np.int64]:
            return np.arange(log.num_baskets)

    split = Greedy(**vars(shop.split))
    with pytest.raises(LeakError, match=r"a test event in training: basket \d+ lies at second \d+, the validation cut"):
        run(shop, split=split)


def test_a_loader_that_reads_on_after_the_cut(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    ranges = Period._ranges

    def one_more(self: Period, log: EventLog, users: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        start, stop = ranges(self, log, users)
        return start, stop + 1

    monkeypatch.setattr(Period, "_ranges", one_more)
    with pytest.raises(LeakError, match=r"a test event in training: basket \d+ lies at second \d+, the validation cut"):
        run(shop)


@dataclass(frozen=True)
class NextTimes:
    """Time of the user's next basket, up to the cut after the request or up to the end of the log."""

    sees_all: bool
    name: str = "next_times"

    def bind(self, log: EventLog, cuts: Cuts) -> BoundLabels:
        def compute(requests: Requests) -> LabelTimes:
            until_s = np.full(len(requests), cuts.times_s[-1] * 2) if self.sees_all else cuts.until_s(requests)
            following = np.minimum(requests.baskets + 1, log.num_baskets - 1)
            own = log.basket_users[following] == requests.users
            times_s = np.where(own & (log.basket_times_s[following] < until_s), log.basket_times_s[following], -1)
            return LabelTimes(torch.from_numpy(times_s))

        return compute


@dataclass(frozen=True)
class LabelTimes:
    times_s: torch.Tensor


def test_label_that_sees_beyond_its_part(shop: Shop) -> None:
    lines = run(shop, labels={"next_times": NextTimes(sees_all=False)})
    assert lines[-1] == "labels ['next_times'] end at the cut after their request"
    message = r"a label reads beyond its part: next_times\.times_s of training requests changes when the events from"
    with pytest.raises(LeakError, match=message):
        run(shop, labels={"next_times": NextTimes(sees_all=True)})


@pytest.mark.parametrize("shift_s", [-1, 1])
def test_item_first_seen_at_a_wrong_time(shop: Shop, shift_s: int) -> None:
    first_seen = shop.log.item_first_seen_s + shift_s * (np.arange(shop.log.num_items) == 4)
    log = replace(shop.log, item_first_seen_s=first_seen)
    name = shop.log.items["item_id"][4]
    with pytest.raises(LeakError, match=rf"an item ranked before it existed: item '{name}' has its first-seen time at"):
        run(shop, log=log, facts=replace(shop, log=log).facts())


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
