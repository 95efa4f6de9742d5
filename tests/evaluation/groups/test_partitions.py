from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import torch
from random_log import random_log

from seasonrec.batches.horizon import Horizon
from seasonrec.batches.other_future import another_future, later_births
from seasonrec.batches.requests import Requests
from seasonrec.batches.splits import TimeSplit
from seasonrec.data.log import EventLog
from seasonrec.evaluation.groups.columns import LAST_YEAR, NAMED_SIDES
from seasonrec.evaluation.groups.partitions import Partitions
from seasonrec.evaluation.protocol import Protocol

DAY_S = 86_400
PROTOCOL = Protocol(season_min_events=2, season_ratio=1.5)
SPLIT = TimeSplit(validation_fraction=0.05, test_fraction=0.1)
"""Split whose test part begins more than a year after the log."""


@pytest.fixture(scope="module")
def log() -> EventLog:
    """Returns 450 days, so that late requests have a whole week a year ago."""
    return random_log(seed=3, num_users=60, num_items=25, num_days=450)


def day_of(time_s: int) -> int:
    return datetime.fromtimestamp(time_s, UTC).astimezone(ZoneInfo("America/New_York")).date().toordinal()


def sides_by_loop(log: EventLog, user: int, known_until_s: int, time_s: int) -> dict[str, list[bool]]:
    """Returns the sides of every item, from the known events one by one."""
    owners = np.repeat(np.arange(log.num_users), np.diff(log.user_offsets)).tolist()
    events = list(zip(owners, log.event_items.tolist(), log.event_times_s.tolist(), strict=True))
    known = [event for event in events if event[2] < known_until_s]
    asked = datetime.fromtimestamp(time_s, UTC).astimezone(ZoneInfo("America/New_York"))
    year_ago_s = (asked - timedelta(days=364)).timestamp()  # on the local clock
    today, first_day = day_of(known_until_s), day_of(int(log.event_times_s.min()))
    over = [(item, day_of(time_s)) for _, item, time_s in known if day_of(time_s) < today]
    sides: dict[str, list[bool]] = {name: [] for name in NAMED_SIDES}
    for item in range(log.num_items):
        times = [time_s for _, one, time_s in known if one == item]
        sides["own"].append(any(one == item and owner == user for owner, one, _ in known))
        sides["sold"].append(bool(times))
        sides[LAST_YEAR].append(bool(times) and min(times) < year_ago_s)
        sides["young"].append(not times or known_until_s - min(times) < 28 * DAY_S)
        born = day_of(min(times)) if times else today
        share = sum(one == item for one, day in over) / max(1, sum(day >= born for _, day in over))
        hot = False
        for stop in (today, today - 364):
            week = [one for one, day in over if stop - 7 <= day < stop]
            sold = week.count(item)
            enough = sold >= 2 and stop - born >= 28 and stop - 7 >= first_day
            hot |= enough and sold / len(week) > 1.5 * share
        sides["hot"].append(hot)
    return sides


def some_requests(log: EventLog, number: int, horizon_s: int = 0) -> Requests:
    baskets = np.sort(np.random.default_rng(5).choice(log.num_baskets, number, replace=False))
    return Requests.of_baskets(log, baskets, Horizon(horizon_s))


@pytest.mark.parametrize("horizon_s", [0, 20 * DAY_S])
def test_sides_are_those_of_a_plain_loop(log: EventLog, horizon_s: int) -> None:
    requests = some_requests(log, 60, horizon_s)
    found = Partitions(log, SPLIT.resolve(log), PROTOCOL)(requests)
    assert list(found) == list(NAMED_SIDES)
    for row in range(len(requests)):
        one = (requests.users[row], requests.known_until_s[row], requests.times_s[row])
        expected = sides_by_loop(log, *map(int, one))
        assert {name: side[row].tolist() for name, side in found.items()} == expected


def test_every_partition_has_both_sides_here(log: EventLog) -> None:
    found = Partitions(log, SPLIT.resolve(log), PROTOCOL)(some_requests(log, log.num_baskets))
    assert all(side.any() and not side.all() for side in found.values())


def test_a_log_that_begins_within_the_year_before_the_part_knows_no_last_year(log: EventLog) -> None:
    early = replace(SPLIT.resolve(log), test_from_s=int(log.basket_times_s.min()) + 363 * DAY_S)
    partitions = Partitions(log, early, PROTOCOL)
    assert LAST_YEAR not in partitions.names
    assert LAST_YEAR not in partitions(some_requests(log, 3))
    assert LAST_YEAR in Partitions(log, replace(early, test_from_s=early.test_from_s + DAY_S), PROTOCOL).names


def test_a_week_a_year_ago_makes_an_item_hot_only_where_the_log_reaches_it(log: EventLog) -> None:
    partitions, first_s = Partitions(log, SPLIT.resolve(log), PROTOCOL), int(log.event_times_s.min())
    hot = partitions.hot
    late = some_requests(log, log.num_baskets)
    late = late[late.known_until_s > first_s + 380 * DAY_S]
    days = np.array([day_of(int(time_s)) for time_s in late.known_until_s]) - day_of(first_s)
    known = hot.counts.before(days).astype(np.int64)
    since = hot.counts.total_before[days][:, None] - hot.counts.total_before[np.minimum(hot.first_days, days[:, None])]
    this_week = hot._is_lifted(days, known, since)
    assert (hot(late).numpy() & ~this_week).any()
    assert not (this_week & ~hot(late).numpy()).any()


def test_nothing_is_hot_long_after_the_last_sale(log: EventLog) -> None:
    """The end of the log, which is in the future of other requests, does not move the week."""
    late_s = log.event_times_s.max() + np.array([0, 7, 400]) * DAY_S
    requests = Requests.of_users(np.zeros(3), late_s)
    hot = Partitions(log, SPLIT.resolve(log), PROTOCOL).hot(requests)
    assert hot[0].any()
    assert not hot[2].any()


@pytest.mark.parametrize("horizon_s", [0, 5 * DAY_S])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.9])
def test_another_future_changes_no_side(log: EventLog, share: float, horizon_s: int) -> None:
    requests = some_requests(log, log.num_baskets, horizon_s)
    moment_s = int(np.quantile(requests.known_until_s, share, method="nearest"))
    asked = np.flatnonzero(requests.known_until_s == moment_s)
    assert len(asked)
    before = Partitions(log, SPLIT.resolve(log), PROTOCOL)(requests[asked])
    other = another_future(log, moment_s)
    assert not np.array_equal(other.event_times_s, log.event_times_s)
    after = Partitions(other, SPLIT.resolve(log), PROTOCOL)(requests[asked])
    assert all(torch.equal(before[name], after[name]) for name in NAMED_SIDES)


def test_the_moment_of_a_later_first_event_changes_no_side(log: EventLog) -> None:
    moment_s = int(np.quantile(log.item_first_seen_s, 0.5))
    later = Partitions(replace(log, item_first_seen_s=later_births(log, moment_s)), SPLIT.resolve(log), PROTOCOL)
    requests = some_requests(log, log.num_baskets)
    requests = requests[requests.known_until_s <= moment_s]
    before, after = Partitions(log, SPLIT.resolve(log), PROTOCOL)(requests), later(requests)
    assert all(torch.equal(before[name], after[name]) for name in NAMED_SIDES)


def test_chunks_give_the_sides_of_all_requests_at_once(log: EventLog) -> None:
    requests, partitions = some_requests(log, 100), Partitions(log, SPLIT.resolve(log), PROTOCOL)
    whole = partitions(requests)
    pieces = [Partitions(log, SPLIT.resolve(log), PROTOCOL)(requests[start : start + 7]) for start in range(0, 100, 7)]
    assert all(torch.equal(whole[name], torch.cat([piece[name] for piece in pieces])) for name in NAMED_SIDES)
