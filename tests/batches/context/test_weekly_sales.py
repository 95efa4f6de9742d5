"""Recent weekly sales, against a loop over the log."""

from typing import Any

import numpy as np
import pytest
import torch
from random_log import DAY_S, random_log

from seasonrec.batches.audit import replace_future
from seasonrec.batches.context.weekly_sales import WeeklySalesContext
from seasonrec.batches.horizon import Horizon
from seasonrec.batches.requests import Requests
from seasonrec.data.calendar import local_days


@pytest.mark.parametrize("of", ["item", "category"])
@pytest.mark.parametrize("horizon_days", [0, 5])
def test_weeks_are_those_before_the_day(of: Any, horizon_days: int) -> None:
    log = random_log(2)
    requests = Requests.of_baskets(log, np.arange(0, log.num_baskets, 9), Horizon(horizon_days * DAY_S))
    sales = WeeklySalesContext(of, 3).bind(log, None)(requests)  # type: ignore[arg-type]
    day_of, known = (local_days(times, log.timezone) for times in (log.event_times_s, requests.known_until_s))
    codes = log.event_items if of == "item" else log.item_categories[log.event_items]
    for request, day in enumerate(known):
        row = int(sales.row[request])
        for week in range(3):
            inside = (day_of >= day - 7 * (week + 1)) & (day_of < day - 7 * week)
            expected = np.bincount(codes[inside], minlength=sales.counts.shape[1])
            assert sales.counts[row, :, week].tolist() == expected.tolist()
        sold = np.bincount(codes[day_of < day], minlength=sales.counts.shape[1]) > 0
        assert sales.sold[row].tolist() == sold.tolist()
        assert sales.weeks[row].item() == np.clip((day - day_of.min()) // 7, 0, 3)
    assert len(sales.counts) < len(requests)


def test_columns_rows_and_the_future() -> None:
    log = random_log(2)
    requests = Requests.of_baskets(log, np.arange(0, log.num_baskets, 9))
    requests = requests[np.argsort(requests.times_s)][:30]
    bound = WeeklySalesContext("item").bind(log, None)  # type: ignore[arg-type]
    items = np.array([3, 8, 40])
    whole, some = bound(requests), bound(requests, items)
    assert some.counts.equal(whole.counts[:, items])
    assert some.sold.equal(whole.sold[:, items])
    assert whole.rows(4, 9).row.equal(whole.row[4:9])
    later = replace_future(log, int(requests.times_s.max()))
    again = WeeklySalesContext("item").bind(later, None)(requests)  # type: ignore[arg-type]
    assert again.counts.equal(whole.counts)
    assert torch.equal(again.sold, whole.sold)
    categories = WeeklySalesContext().bind(log, None)  # type: ignore[arg-type]
    assert categories(requests, items).counts.equal(categories(requests).counts)
