"""Tests of the Transformer over real time against a loop over requests, and of its clock features."""

import bisect
import math
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
import torch
from small_shop import Shop
from small_windows import DAY_S, TODAY_S, WIDTH, batch_of, shaken, some_batch, some_hidden
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.models.temporal.clock_features import ClockFeatures
from seasonrec.models.temporal.intervals import BOUNDS_S
from seasonrec.models.temporal.time_attention import TimeAttentionBlock
from seasonrec.models.temporal.transformer_time import TransformerTime

ZONE = "America/New_York"
YEAR_DAYS = 365.2425


@pytest.fixture(scope="module")
def facts(shop: Shop) -> Facts:
    """Returns facts of a log that begins a year and a half before the hand-made windows."""
    plain = shop.facts(embedding_dim=WIDTH)
    return replace(plain, spec=replace(plain.spec, timezone=ZONE, first_time_s=TODAY_S - 550 * DAY_S))


def test_against_a_loop_over_requests(facts: Facts) -> None:
    batch = some_batch()
    module, hidden = shaken(TransformerTime(num_layers=2, facts=facts)), some_hidden(batch)
    with torch.no_grad():
        expected = [one_request(module, hidden, batch, request, facts) for request in range(batch.num_requests)]
    torch.testing.assert_close(module(hidden, batch).query, torch.stack(expected), rtol=0, atol=2e-5)


def one_request(module: TransformerTime, hidden: Tensor, batch: SequenceBatch, request: int, facts: Facts) -> Tensor:
    """Computes the output from its definition, position by position."""
    window, position = int(batch.request_window[request]), int(batch.request_position[request])
    times_s: list[int | None] = [None, *batch.timestamps_s[window, :position].tolist()]
    dates = [torch.zeros(WIDTH)] + [module.calendar(features(time_s, facts)) for time_s in times_s[1:]]
    events = list(hidden[window, : position + 1])
    for block in module.blocks:
        read = []
        for place, now_s in enumerate(times_s):
            earlier = [q for q, then_s in enumerate(times_s) if q == place or then_s is None or then_s < (now_s or 0)]
            may_read = [place] if place == 0 else earlier
            answering = [block.norm(events[q]) + dates[q] for q in may_read]
            passed = [bucket(now_s, times_s[q]) for q in may_read]
            read.append(
                finish(block, events[place], attended(block, answering[may_read.index(place)], answering, passed))
            )
        events = read
    now_s = int(batch.request_time_s[request])
    passed = [bucket(now_s, then_s) for then_s in times_s]
    asking = events[position] + module.since_last.weight[passed[position]]
    block = module.reading
    answering = [block.norm(event) + date for event, date in zip(events, dates, strict=True)]
    dated = block.norm(asking) + module.calendar(features(now_s, facts))
    answer = finish(block, asking, attended(block, dated, answering, passed))
    return hidden[window, position] + module.out(module.norm(answer))


def attended(block: TimeAttentionBlock, asking: Tensor, answering: list[Tensor], passed: list[int]) -> Tensor:
    query, size = block.query(asking), WIDTH // block.num_heads
    mixed = []
    for head in range(block.num_heads):
        part = slice(head * size, (head + 1) * size)
        keys = [block.key_value(vector)[:WIDTH][part] for vector in answering]
        values = [block.key_value(vector)[WIDTH:][part] for vector in answering]
        scores = [
            float(query[part] @ key) / math.sqrt(size) + float(block.interval[head, number])
            for key, number in zip(keys, passed, strict=True)
        ]
        weights = [math.exp(score) / sum(math.exp(other) for other in scores) for score in scores]
        mixed.append(sum(weight * value for weight, value in zip(weights, values, strict=True)))
    return torch.cat(mixed)


def finish(block: TimeAttentionBlock, asking: Tensor, mixed: Tensor) -> Tensor:
    asking = asking + block.out(mixed)
    return asking + block.feed_forward(asking)


def bucket(now_s: int | None, then_s: int | None) -> int:
    return 0 if then_s is None else 1 + bisect.bisect_right(BOUNDS_S, (now_s or then_s) - then_s)


def features(time_s: int, facts: Facts, num_harmonics: int = 2) -> Tensor:
    """Computes the features with Python's calendar."""
    date, first = (
        datetime.fromtimestamp(s, UTC).astimezone(ZoneInfo(ZONE)).date() for s in (time_s, facts.spec.first_time_s)
    )
    days = (date - datetime(1970, 1, 1).date()).days
    short_by_days = max(0.0, YEAR_DAYS - (date - first).days)
    angle = 2 * math.pi * (days % YEAR_DAYS) / YEAR_DAYS
    waves = [wave(angle * order) for wave in (math.sin, math.cos) for order in range(1, num_harmonics + 1)]
    covered = max(0.0, 1 - short_by_days / 7)
    return torch.tensor([float(date.weekday() == day) for day in range(7)] + [covered * wave for wave in waves])


def test_clock_features_against_the_calendar_of_python(facts: Facts) -> None:
    draw = torch.Generator().manual_seed(0)
    times_s = TODAY_S + torch.randint(-550 * DAY_S, 400 * DAY_S, (300,), generator=draw)
    friday = int(datetime(2026, 9, 25, 22, 30, tzinfo=ZoneInfo(ZONE)).timestamp())  # Saturday in Greenwich
    times_s = torch.cat([times_s, torch.tensor([friday, friday + 5400 - 1, friday + 5400])])
    found = ClockFeatures(facts.spec, 2)(times_s)
    expected = torch.stack([features(time_s, facts) for time_s in times_s.tolist()])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    assert found[-3:, :7].argmax(dim=1).tolist() == [4, 4, 5]


def test_time_of_year_is_zero_until_the_log_covers_a_full_year(facts: Facts) -> None:
    moments, first_s = ClockFeatures(facts.spec, 3), facts.spec.first_time_s
    assert moments.num_features == 13
    assert not moments(first_s + torch.arange(0, 358) * DAY_S)[:, 7:].any()
    assert moments(first_s + torch.arange(366, 700) * DAY_S)[:, 7:].square().sum(1).allclose(torch.tensor(3.0))


def test_same_history_at_two_request_times(facts: Facts) -> None:
    module = shaken(TransformerTime(facts=facts))
    second, hour, week = 1, 3600, 7 * DAY_S
    batch = batch_of([[0, DAY_S]], [(0, 2, DAY_S + later) for later in (second, 2 * second, hour, week, 2 * week)])
    query = module(some_hidden(batch), batch).query
    assert (torch.pdist(query) > 1e-3).all()


def test_the_weekday_matters_apart_from_the_interval(facts: Facts) -> None:
    """Shifts all times by a day: the output changes, but no longer once the calendar weights are zero."""
    module = shaken(TransformerTime(facts=facts))
    today = batch_of([[0, DAY_S]], [(0, 2, 2 * DAY_S)])
    tomorrow = replace(today, timestamps_s=today.timestamps_s + DAY_S, request_time_s=today.request_time_s + DAY_S)
    hidden = some_hidden(today)
    assert (module(hidden, today).query - module(hidden, tomorrow).query).abs().max() > 1e-3
    torch.nn.init.zeros_(module.calendar.weight)
    assert torch.equal(module(hidden, today).query, module(hidden, tomorrow).query)


def test_intervals_among_events_change_the_query(facts: Facts) -> None:
    """Sets the biases of the intervals to the request to zero, so that only those among events remain."""
    module = shaken(TransformerTime(facts=facts))
    for weights in (module.calendar.weight, module.reading.interval, module.since_last.weight):
        torch.nn.init.zeros_(weights)
    near, far = (batch_of([[0, later, 2 * DAY_S]], [(0, 3, 3 * DAY_S)]) for later in (60, DAY_S))
    hidden = some_hidden(near)
    assert (module(hidden, near).query - module(hidden, far).query).abs().max() > 1e-4
    for block in module.blocks:
        torch.nn.init.zeros_(block.interval)
    torch.testing.assert_close(module(hidden, near).query, module(hidden, far).query, rtol=0, atol=1e-6)


def test_starts_without_an_effect_of_the_intervals_among_events(facts: Facts) -> None:
    module = TransformerTime(facts=facts)
    assert not any(block.interval.any() for block in [*module.blocks, module.reading])
