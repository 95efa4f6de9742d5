"""Leak audit: a valid log passes, each kind of leak is refused."""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import planted_leaks as leaks
import pytest
import torch
from numpy.typing import NDArray
from planted_leaks import Habit, PeekingContext
from random_groups import random_groups
from small_shop import DATASET, MAX_SEQ_LEN, Shop

from seasonrec.batches import audit as module
from seasonrec.batches import audit_sample, epoch_plan
from seasonrec.batches.audit import Audited, LeakError, audit
from seasonrec.batches.audit_sample import sample
from seasonrec.batches.audit_windows import EVENTS, REQUESTS, TRUTH
from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.context.base import Context
from seasonrec.batches.context.calendar import CalendarContext
from seasonrec.batches.context.clock import ClockContext
from seasonrec.batches.context.last_year import LastYearContext
from seasonrec.batches.context.momentum import MomentumContext
from seasonrec.batches.context.own_amounts import OwnGapsContext, OwnValuesContext
from seasonrec.batches.context.own_events import OwnEventsContext
from seasonrec.batches.context.own_history import OwnHistoryContext
from seasonrec.batches.context.share_index import SharesContext
from seasonrec.batches.context.weekly_sales import WeeklySalesContext
from seasonrec.batches.epoch_plan import WindowRule
from seasonrec.batches.facts import Facts
from seasonrec.batches.horizon import ROLLING, Horizon
from seasonrec.batches.labels.base import BoundLabels, Cuts
from seasonrec.batches.loader import BatchBuilder
from seasonrec.batches.other_future import another_future, later_births
from seasonrec.batches.requests import Requests
from seasonrec.batches.splits import Split
from seasonrec.batches.user_pools import Period
from seasonrec.data.calendar import local_days, weekdays
from seasonrec.data.log import EventLog

DAY = 86_400
CONTEXTS: dict[str, Context] = {
    "own_history": OwnHistoryContext(),
    "momentum": MomentumContext(),
    "calendar": CalendarContext(),
    "last_year": LastYearContext(use=("id", "category", "cluster", "text"), groups=random_groups(DATASET["num_items"])),
    "own_values": OwnValuesContext(),
    "own_gaps": OwnGapsContext(),
    "clock": ClockContext(),
    "own_events": OwnEventsContext(20),
    "weekly_sales": WeeklySalesContext(),
    "shares": SharesContext(
        windows_days=(7, None), half_lives_days=(14.0,), half_windows_days=(14,), own_half_lives_days=(None, 28.0)
    ),
}
WHERE = r" of the request of user '\w+' at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d changes when the events from second"
TRAINING = r"a training window that reads on after its request: "


def after_the_cut(shop: Shop) -> EventLog:
    until_s = shop.spec.train_until_s
    return replace(another_future(shop.log, until_s), item_first_seen_s=later_births(shop.log, until_s))


def run(shop: Shop, contexts: dict[str, Context] = CONTEXTS, **other: Any) -> list[str]:
    given = {"log": shop.log, "spec": shop.spec, "split": shop.split, "max_seq_len": MAX_SEQ_LEN} | other
    if "made" not in other:
        given["made"] = {"facts": shop.facts()}
        given["made_again"] = {"facts": replace(shop, log=after_the_cut(shop)).facts()}
    return audit(Audited(contexts=contexts, **given))


FROZEN = Horizon(0, 28, 17_000, "America/New_York")


@pytest.mark.parametrize("horizon", [ROLLING, Horizon(14 * DAY), FROZEN], ids=["rolling", "horizon", "frozen"])
def test_sound_log_passes(shop: Shop, horizon: Horizon) -> None:
    lines = run(shop, horizon=horizon)
    assert len(lines) == 5
    assert any(f"contexts {sorted(CONTEXTS)}" in line for line in lines)


@pytest.fixture
def long_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the shop count as a long log, of which the audit replaces an excerpt."""
    monkeypatch.setattr(module, "SAMPLED_EVENTS", 200)
    monkeypatch.setattr(module, "SAMPLED_CELLS", 120)
    monkeypatch.setattr(audit_sample, "SAMPLED_BASKETS", 20)


@pytest.mark.usefixtures("long_log")
def test_long_log_passes_and_is_audited_in_part(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    replaced: list[int] = []

    def noted(log: EventLog, *moment: Any) -> EventLog:
        replaced.append(log.num_users)
        return another_future(log, *moment)

    monkeypatch.setattr(module, "another_future", noted)
    assert any(" 15 sampled requests" in line for line in run(shop))
    assert max(replaced) < shop.log.num_users


@pytest.mark.usefixtures("long_log")
def test_leaks_of_a_long_log(shop: Shop) -> None:
    for look in (leaks.sales_up_to_the_request, leaks.size_of_own_basket):
        with pytest.raises(LeakError, match=r"context\.peek\.tensor \(PeekingContext\)"):
            run(shop, {"peek": PeekingContext(look)})


def test_sample_holds_all_kinds_of_days_horizons_and_the_last_request(shop: Shop) -> None:
    baskets = shop.split.train_baskets(shop.log)
    asked = sample(shop.log, baskets, ROLLING, (0, 7 * DAY), 2, 100)
    days = weekdays(local_days(asked.times_s, shop.log.timezone))
    assert set(days.tolist()) == set(range(7))
    horizons = (asked.times_s - asked.known_until_s).tolist()
    both = {(day, horizon) for day in range(7) for horizon in (0, 7 * DAY)}
    assert {*zip(days.tolist(), horizons, strict=True)} == both
    dates = {str(np.datetime64(int(day), "D"))[5:] for day in local_days(asked.times_s, shop.log.timezone)}
    assert dates & {"12-24", "12-25", "12-26"}
    assert asked.times_s.max() == shop.log.basket_times_s[baskets].max()
    assert len(sample(shop.log, baskets, ROLLING, (0,), 2, 4)) == 5


@pytest.mark.parametrize("look", leaks.CONTEXTS, ids=lambda look: look.__qualname__)
def test_context_that_reads_the_future(shop: Shop, look: leaks.Look) -> None:
    message = rf"a target visible in its own input, \w+ part: context\.peek\.tensor \(PeekingContext\){WHERE}"
    with pytest.raises(
        LeakError, match=message + r" \d+ on are replaced; read events before requests\.known_until_s only\."
    ):
        run(shop, {"peek": PeekingContext(look)})


def test_context_that_leaks_for_chosen_items_alone(shop: Shop) -> None:
    leak: dict[str, Context] = {"peek": leaks.LeakOfChosenItems(leaks.all_sales)}
    with pytest.raises(LeakError, match=rf"context of some items\.peek\.tensor \(LeakOfChosenItems\){WHERE}"):
        run(shop, leak)


def test_context_that_leaks_between_the_requests_of_a_batch(shop: Shop) -> None:
    leak: dict[str, Context] = {"peek": PeekingContext(leaks.sales_as_known_to_the_last_of_the_batch)}
    with pytest.raises(LeakError, match=rf"{TRAINING}context\.peek\.tensor \(PeekingContext\){WHERE}"):
        run(shop, leak)


def test_window_with_the_requests_own_basket(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = epoch_plan._history_ends

    def one_more(log: EventLog, baskets: NDArray[np.int64], horizon: Horizon) -> NDArray[np.int64]:
        return ends(log, baskets, horizon) + np.diff(log.basket_offsets)[baskets]

    monkeypatch.setattr(epoch_plan, "_history_ends", one_more)
    with pytest.raises(LeakError, match=rf"{TRAINING}item_ids \(windows\){WHERE}"):
        run(shop, {})


def test_window_with_one_event_of_the_requests_own_basket_without_its_item(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The position alone then tells that the basket is large."""
    ends = epoch_plan._history_ends

    def one_more(log: EventLog, baskets: NDArray[np.int64], horizon: Horizon) -> NDArray[np.int64]:
        return ends(log, baskets, horizon) - (np.diff(log.basket_offsets)[baskets] > 2)

    monkeypatch.setattr(epoch_plan, "_history_ends", one_more)
    with pytest.raises(LeakError, match=rf"{TRAINING}\w+ \(windows\){WHERE}"):
        run(shop, {})


def test_window_that_ends_with_its_last_request(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The positions of earlier requests then tell how much follows."""
    windows = epoch_plan._windows

    def to_the_last(
        log: EventLog, baskets: NDArray[np.int64], users: Any, rule: WindowRule, random: Any
    ) -> tuple[NDArray[np.int64], ...]:
        ends, first, _, _ = windows(log, baskets, users, rule, random)
        last = ends[np.append(first[1:], len(baskets)) - 1]
        own = log.user_offsets[log.basket_users[baskets[first]]]
        starts = np.maximum(last - rule.max_seq_len, own)
        return ends, first, starts, last - starts

    monkeypatch.setattr(epoch_plan, "_windows", to_the_last)
    with pytest.raises(LeakError, match=rf"{TRAINING}\w+ \(windows\){WHERE}"):
        run(shop, {})


def test_history_with_the_requests_own_basket(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def one_more(self: BatchBuilder, requests: Requests) -> NDArray[np.int64]:
        return self.log.basket_offsets[self.log.baskets_before(requests.users, requests.known_until_s + 1)]

    monkeypatch.setattr(BatchBuilder, "history_ends", one_more)
    with pytest.raises(LeakError, match=rf"visible in its own input, training part: item_ids \(windows\){WHERE}"):
        run(shop, {})


def test_candidates_that_depend_on_the_next_basket(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    build = BatchBuilder.__call__

    def until_the_next(self: BatchBuilder, requests: Requests, *given: Any, **named: Any) -> SequenceBatch:
        later_s = np.append(np.sort(self.log.basket_times_s), 0)
        next_s = torch.from_numpy(later_s[np.searchsorted(later_s[:-1], requests.times_s, side="right")])
        return replace(build(self, requests, *given, **named), candidates_until_s=next_s)

    monkeypatch.setattr(BatchBuilder, "__call__", until_the_next)
    with pytest.raises(LeakError, match=rf"training part: candidates_until_s \(windows\){WHERE}"):
        run(shop, {})


def test_context_that_peeks_behind_a_frozen_cut(shop: Shop) -> None:
    """The same context is sound under a rolling protocol, where the history ends at the request."""
    peek: dict[str, Context] = {"peek": PeekingContext(leaks.sales_since_the_refresh)}
    with pytest.raises(LeakError, match=rf"training part: context\.peek\.tensor \(PeekingContext\){WHERE}"):
        run(shop, peek, horizon=FROZEN)


def test_candidates_first_sold_within_the_horizon_pass_where_the_protocol_ranks_them(shop: Shop) -> None:
    assert run(shop, {}, horizon=Horizon(14 * DAY), candidates="before_request")


@pytest.mark.parametrize("augment", leaks.AUGMENTATIONS, ids=lambda augment: augment.__name__)
def test_augmentation_that_reads_the_future(shop: Shop, augment: Any) -> None:
    with pytest.raises(LeakError, match=rf"augmented\.\w+ \(function\){WHERE}"):
        run(shop, {}, augment=augment)


@pytest.mark.parametrize(("value", "place"), leaks.MADE, ids=lambda given: getattr(given, "__name__", given))
def test_component_made_of_later_events(shop: Shop, value: Callable[..., Any], place: str) -> None:
    until_s = shop.spec.train_until_s
    made, again = (Habit(value(log, until_s), place) for log in (shop.log, after_the_cut(shop)))
    message = r"statistics from after the cut: model\.\S+ \(Habit\) changes when the events from \d{4}-\d\d-\d\d "
    with pytest.raises(LeakError, match=message):
        run(shop, {}, made={"model": made}, made_again={"model": again})


def test_first_seen_times_of_later_items_may_differ(shop: Shop) -> None:
    made, again = (Habit(log.item_first_seen_s, "buffer") for log in (shop.log, after_the_cut(shop)))
    assert run(shop, {}, made={"model": made}, made_again={"model": again})


@pytest.mark.parametrize("name", ["item_train_counts", "item_interval_days"])
def test_statistic_from_after_the_cut(shop: Shop, name: str) -> None:
    until_s = shop.spec.last_time_s
    made, again = (
        Facts.of(log, replace(shop.spec, train_until_s=until_s), 16, 12, shop.cache_dir)
        for log in (shop.log, after_the_cut(shop))
    )
    message = rf"statistics from after the cut: facts\.{name} \(Facts\) changes when the events from .* are replaced"
    with pytest.raises(LeakError, match=message):
        run(
            shop,
            made={"facts": replace(shop.facts(), **{name: getattr(made, name)})},
            made_again={"facts": replace(shop.facts(), **{name: getattr(again, name)})},
        )


def test_basket_from_after_the_cut_in_training(shop: Shop) -> None:
    class Greedy(Split):
        def train_baskets(self, log: EventLog) -> NDArray[np.int64]:
            return np.arange(log.num_baskets)

    split = Greedy(**vars(shop.split))
    with pytest.raises(LeakError, match=r"a test event in training: basket \d+ lies at second \d+, the training part"):
        run(shop, split=split)


def test_a_loader_that_reads_on_after_the_cut(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    ranges = Period._ranges

    def one_more(self: Period, log: EventLog, users: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        start, stop = ranges(self, log, users)
        return start, stop + 1

    monkeypatch.setattr(Period, "_ranges", one_more)
    with pytest.raises(LeakError, match=r"a test event in training: basket \d+ lies at second \d+, the training part"):
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
    lines = run(shop, {}, labels={"next_times": NextTimes(sees_all=False)})
    assert lines[-1] == "labels ['next_times'] end at the cut after their request"
    message = r"a label reads beyond its part: next_times\.times_s of training requests changes when the events from"
    with pytest.raises(LeakError, match=message):
        run(shop, {}, labels={"next_times": NextTimes(sees_all=True)})


@pytest.mark.parametrize("shift_s", [-1, 1])
def test_item_first_seen_at_a_wrong_time(shop: Shop, shift_s: int) -> None:
    first_seen = shop.log.item_first_seen_s + shift_s * (np.arange(shop.log.num_items) == 4)
    log = replace(shop.log, item_first_seen_s=first_seen)
    name = shop.log.items["item_id"][4]
    with pytest.raises(LeakError, match=rf"an item ranked before it existed: item '{name}' has its first-seen time at"):
        run(shop, log=log)


def test_every_field_of_a_batch_is_compared_or_truth() -> None:
    names = {field.name for field in fields(SequenceBatch)}
    assert names <= {*EVENTS, *REQUESTS, *TRUTH, "context", "request_window"}
    assert not {*EVENTS, *REQUESTS} & {*TRUTH}


def test_the_message_names_component_field_request_date_and_remedy(shop: Shop) -> None:
    with pytest.raises(LeakError) as refused:
        run(shop, {"peek": PeekingContext(leaks.size_of_own_basket)})
    user, day = re.findall(r"user '(\w+)' at (\d{4}-\d\d-\d\d)", str(refused.value))[0]
    log = shop.log
    number = log.users["user_id"].to_list().index(user)
    own = log.basket_times_s[log.user_baskets[number] : log.user_baskets[number + 1]]
    assert day in {str(np.datetime64(int(d), "D")) for d in local_days(own, log.timezone)}
