"""Labels against slow loops over the log, and against changes after their end."""

import importlib
import inspect
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import torch
from random_log import DAY_S, START_S, random_log

import seasonrec.batches.labels
from seasonrec.batches.audit import replace_future
from seasonrec.batches.horizon import Horizon
from seasonrec.batches.labels.base import Cuts, bind_all, union
from seasonrec.batches.labels.demand import DemandLabels
from seasonrec.batches.labels.next_window import NextWindowLabels
from seasonrec.batches.labels.spend import SpendLabels
from seasonrec.batches.labels.time_to_next import TimeToNextLabels
from seasonrec.batches.requests import Requests
from seasonrec.data.log import EventLog

MIDNIGHT_S = START_S + 13 * 3600  # 5:00 UTC, midnight in New York
CUTS = Cuts((MIDNIGHT_S + 28 * DAY_S, MIDNIGHT_S + 39 * DAY_S, START_S + 50 * DAY_S))
DAYS = 9.0


def label_classes() -> list[type]:
    found = []
    for path in sorted(Path(seasonrec.batches.labels.__file__).parent.glob("[!_]*.py")):
        module = importlib.import_module(f"seasonrec.batches.labels.{path.stem}")
        classes = [c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == module.__name__]
        found += [c for c in classes if c.__name__.endswith("Labels") and path.stem != "base"]
    return found


LABELS = label_classes()


@pytest.fixture(scope="module")
def log() -> EventLog:
    made = random_log(3)
    draw = np.random.default_rng(0)
    values = draw.lognormal(1.0, 1.0, made.num_events).astype(np.float32)
    values[::61] = np.nan
    values[5::47] *= -3
    return replace(made, event_values=values)


def requests_of(log: EventLog, horizon_s: int = 0) -> Requests:
    return Requests.of_baskets(log, np.random.default_rng(1).permutation(log.num_baskets), Horizon(horizon_s))


def until(time_s: int) -> int:
    return min(cut for cut in CUTS.times_s if cut > time_s)


def baskets_of(log: EventLog, user: int) -> Iterator[tuple[int, int]]:
    """Yields ``(number, second)`` of each basket of a user."""
    for number in range(int(log.user_baskets[user]), int(log.user_baskets[user + 1])):
        yield number, int(log.basket_times_s[number])


def items_in(log: EventLog, basket: int) -> list[int]:
    return log.event_items[log.basket_offsets[basket] : log.basket_offsets[basket + 1]].tolist()


def local_date(time_s: int) -> date:
    return datetime.fromtimestamp(time_s, UTC).astimezone(ZoneInfo("America/New_York")).date()


@pytest.mark.parametrize("labels", LABELS, ids=lambda labels: labels.__name__)
def test_nothing_after_the_part_of_a_request_is_told(log: EventLog, labels: Any) -> None:
    requests = requests_of(log, horizon_s=DAY_S)
    for cut_s in CUTS.times_s:
        mine = requests[np.flatnonzero(CUTS.until_s(requests) == cut_s)]
        assert len(mine) > 20
        told = labels().bind(log, CUTS)(mine)
        again = labels().bind(replace_future(log, cut_s), CUTS)(mine)
        for field in fields(told):
            value = getattr(told, field.name)
            assert value.numel(), field.name
            assert value.equal(getattr(again, field.name)), field.name


@pytest.mark.parametrize("labels", LABELS, ids=lambda labels: labels.__name__)
def test_what_follows_a_request_is_told(log: EventLog, labels: Any) -> None:
    """Labels without content would pass the test above."""
    requests = requests_of(log)
    mine = requests[np.flatnonzero(requests.times_s < CUTS.times_s[0])]
    later = int(np.median(mine.times_s))
    changed = replace_future(log, later)
    changed = replace(changed, event_values=np.where(changed.event_times_s >= later, 7.0, changed.event_values))
    told, again = (labels().bind(one, CUTS)(mine) for one in (log, changed))
    same = [torch.equal(getattr(told, f.name), getattr(again, f.name)) for f in fields(told)]
    assert not all(same)


@pytest.mark.parametrize("labels", LABELS, ids=lambda labels: labels.__name__)
def test_a_request_is_told_the_same_alone_and_among_others(log: EventLog, labels: Any) -> None:
    """Returns the fields with one row per request."""
    bound, requests = labels().bind(log, CUTS), requests_of(log)[:40]
    whole = bound(requests)
    for row in (0, 17, 39):
        alone = bound(requests[row : row + 1])
        for field in fields(whole):
            value = getattr(whole, field.name)
            if len(value) == 40 and field.name not in ("request", "items"):
                torch.testing.assert_close(getattr(alone, field.name), value[row : row + 1])


def test_spend(log: EventLog) -> None:
    requests = requests_of(log)
    told = SpendLabels().bind(log, CUTS)(requests)
    known = []
    for row, basket in enumerate(requests.baskets):
        values = log.event_values[log.basket_offsets[basket] : log.basket_offsets[basket + 1]]
        total = sum(float(value) for value in values)
        expected = total if total != total else max(total, 0.0)
        assert told.known[row].item() == (expected == expected)
        assert told.value[row].item() == pytest.approx(expected if expected == expected else 0.0, rel=1e-5)
        if requests.times_s[row] < CUTS.times_s[0] and expected == expected:
            known.append(np.log1p(expected))
    assert not told.known.all()
    assert (told.value == 0)[told.known].any()
    assert told.usual.tolist() == pytest.approx([np.mean(known), np.std(known)], rel=1e-5)


def test_a_basket_without_a_truth_has_no_value(log: EventLog) -> None:
    asked = replace(requests_of(log)[:3], baskets=np.array([-1, -1, -1]))
    assert not SpendLabels().bind(log, CUTS)(asked).known.any()
    assert TimeToNextLabels().bind(log, CUTS)(asked).censored.all()


@pytest.mark.parametrize("merge_same_day", [True, False])
def test_time_to_next(log: EventLog, merge_same_day: bool) -> None:
    requests = requests_of(log)
    told = TimeToNextLabels(merge_same_day).bind(log, CUTS)(requests)
    seen, censored = [], 0
    for row, (user, time_s) in enumerate(zip(requests.users.tolist(), requests.times_s.tolist(), strict=True)):
        later = [s for _, s in baskets_of(log, user) if time_s < s < until(time_s)]
        if merge_same_day:
            later = [s for s in later if local_date(s) != local_date(time_s)]
        assert told.censored[row].item() == (not later)
        end_s = min(later, default=until(time_s))
        assert told.days[row].item() == pytest.approx((end_s - time_s) / DAY_S, rel=1e-6)
        censored += not later
        if later and time_s < CUTS.times_s[0]:
            seen.append(np.log((end_s - time_s) / DAY_S))
    assert 40 < censored < len(requests) - 40
    assert told.usual.tolist() == pytest.approx([np.mean(seen), np.std(seen)], rel=1e-4)


def test_baskets_of_one_day_are_one_visit(log: EventLog) -> None:
    requests = requests_of(log)
    merged, apart = (TimeToNextLabels(m).bind(log, CUTS)(requests) for m in (True, False))
    assert (merged.days > apart.days).any()
    assert (merged.days >= apart.days).all()


def test_next_window(log: EventLog) -> None:
    requests = requests_of(log)
    told = NextWindowLabels(DAYS).bind(log, CUTS)(requests)
    found: list[list[int]] = [[] for _ in range(len(requests))]
    for row, item in zip(told.request.tolist(), told.items.tolist(), strict=True):
        found[row].append(item)
    for row, (user, time_s) in enumerate(zip(requests.users.tolist(), requests.times_s.tolist(), strict=True)):
        end_s = min(time_s + int(DAYS * DAY_S), until(time_s))
        inside = [basket for basket, s in baskets_of(log, user) if time_s <= s < end_s]
        assert found[row] == sorted({item for basket in inside for item in items_in(log, basket)})


@pytest.mark.parametrize("of", ["item", "category"])
@pytest.mark.parametrize("horizon_s", [0, DAY_S // 2])
def test_demand(log: EventLog, of: Any, horizon_s: int) -> None:
    requests = requests_of(log, horizon_s)[:60]
    told = DemandLabels(of).bind(log, CUTS)(requests)
    dates = [local_date(s) for s in log.event_times_s.tolist()]
    codes = log.event_items if of == "item" else log.item_categories[log.event_items]
    assert len(told.first) < 60, "requests of one day share a row"
    days = {(local_date(s), local_date(s - horizon_s)) for s in requests.times_s.tolist()}
    assert len(told.first) == len(days)
    for row, request in enumerate(told.first.tolist()):
        time_s = int(requests.times_s[request])
        week = {local_date(time_s) + timedelta(day) for day in range(1, 8)}
        assert told.known[row].item() == (max(week) < local_date(until(time_s)))
        expected = np.zeros(told.counts.shape[1])
        if told.known[row]:
            np.add.at(expected, codes[[day in week for day in dates]], 1)
        assert told.counts[row].tolist() == expected.tolist()
    assert told.known.any()
    assert not told.known.all()


def test_data_without_what_labels_are_made_of(log: EventLog) -> None:
    unknown = replace(log, event_values=np.full(log.num_events, np.nan, dtype=np.float32))
    message = r"task=spend needs baskets with a value before the validation cut, got none among \d+; .*leave spend out"
    with pytest.raises(ValueError, match=message):
        SpendLabels().bind(unknown, CUTS)
    once = Cuts((int(log.basket_times_s.min()) + 1, *CUTS.times_s))
    message = "task=time_to_next needs users who come back before the validation cut, got none after .*leave time_to_n"
    with pytest.raises(ValueError, match=message):
        TimeToNextLabels().bind(log, once)


def test_tasks_share_equal_labels_and_may_not_differ(log: EventLog) -> None:
    asked = union([NextWindowLabels(), NextWindowLabels(), SpendLabels()])
    assert list(asked) == ["next_window", "spend"]
    assert list(bind_all(asked, log, CUTS)) == ["next_window", "spend"]
    with pytest.raises(ValueError, match=r"labels 'next_window' with different options.*give both tasks the same"):
        union([NextWindowLabels(), NextWindowLabels(7.0)])


def test_all_labels_are_found() -> None:
    assert {DemandLabels, NextWindowLabels, SpendLabels, TimeToNextLabels} <= set(LABELS)
