"""Known sales of a day against a count event by event, and the context of an expected demand."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from random_log import DAY_S, random_log

from seasonrec.batches.candidates import Candidates
from seasonrec.batches.context.demand import DaySales, DaySalesIndex, DemandContext
from seasonrec.batches.horizon import Horizon
from seasonrec.batches.requests import Requests
from seasonrec.data.log import EventLog

WINDOWS = (3, 10)
HALF = 5


class Popular:
    """A day model whose shares are those of the known sales."""

    windows_days = WINDOWS
    half_window_days = HALF

    def log_shares(self, sales: DaySales) -> np.ndarray:
        weights = (sales.total + 1.0) * sales.is_candidate
        with np.errstate(divide="ignore"):
            return np.log(weights / max(weights.sum(), 1.0)).astype(np.float32)


def log_of_a_year() -> EventLog:
    return replace(random_log(1, num_days=500), timezone="UTC")


@pytest.mark.parametrize("rule", get_args(Candidates))
@pytest.mark.parametrize("hidden", [0, 30])
def test_known_sales_are_those_of_a_count_event_by_event(rule: Candidates, hidden: int) -> None:
    log = log_of_a_year()
    index = DaySalesIndex(log, WINDOWS, HALF, rule)
    first = index.counts.first_day
    day = np.asarray(log.event_times_s) // DAY_S - first
    items, first_seen = np.asarray(log.event_items), np.asarray(log.item_first_seen_s) // DAY_S - first
    for asked in (35, 200, 366, 420, 498):
        known = max(asked - hidden, 0)
        sales = index.of(asked, known)
        readable = day < known
        windows = [
            *(readable & (day >= known - length) for length in WINDOWS),
            readable & (np.abs(day - (asked - 364)) <= HALF),
            readable & (day >= known - 364 - max(WINDOWS)) & (day < known - 364),
        ]
        expected = np.stack([np.bincount(items[one], minlength=log.num_items) for one in windows])
        np.testing.assert_array_equal(sales.sold, expected)
        np.testing.assert_array_equal(sales.events, expected.sum(1))
        np.testing.assert_array_equal(sales.total, np.bincount(items[readable], minlength=log.num_items))
        np.testing.assert_array_equal(sales.age_days, np.where(first_seen < known, asked - first_seen, 0))
        until = {"known": known, "before_request": asked, "all": np.inf}[rule]
        np.testing.assert_array_equal(sales.is_candidate, first_seen < until)
        np.testing.assert_array_equal(index.on(asked), np.bincount(items[day == asked], minlength=log.num_items))


@pytest.mark.parametrize("horizon_days", [0, 28])
def test_each_request_has_the_demand_of_its_day(horizon_days: int) -> None:
    log = log_of_a_year()
    index = DemandContext(Popular()).bind(log, None)  # type: ignore[arg-type]
    requests = Requests.of_baskets(log, np.arange(0, log.num_baskets, 5), Horizon(horizon_days * DAY_S))
    demand = index(requests)
    table = demand.log_share.numpy()[demand.row.numpy()]
    sales = index.sales
    for number in range(0, len(requests), 9):
        asked = int(requests.times_s[number] // DAY_S) - sales.counts.first_day
        known = min(
            max(int(requests.known_until_s[number] // DAY_S) - sales.counts.first_day, 0), sales.counts.num_days
        )
        np.testing.assert_array_equal(table[number], Popular().log_shares(sales.of(asked, known)))
    some = np.array([1, 4, 6])
    columns = index(requests, some)
    np.testing.assert_array_equal(columns.log_share.numpy()[columns.row.numpy()], table[:, some])


def test_what_is_sold_later_changes_no_demand() -> None:
    log = log_of_a_year()
    requests = Requests.of_baskets(log, np.argsort(log.basket_times_s, kind="stable")[-20:], Horizon(28 * DAY_S))
    until_s = int(requests.known_until_s.min()) // DAY_S * DAY_S
    changed = np.where(np.asarray(log.event_times_s) >= until_s, 0, np.asarray(log.event_items)).astype(np.int32)
    before = DemandContext(Popular()).bind(log, None)(requests)  # type: ignore[arg-type]
    after = DemandContext(Popular()).bind(replace(log, event_items=changed), None)(requests)  # type: ignore[arg-type]
    earliest = int(np.argmin(requests.known_until_s))
    first, second = (one.log_share.numpy()[one.row.numpy()][earliest] for one in (before, after))
    np.testing.assert_array_equal(first, second)
