"""Contexts of some items against the same columns of the whole table, bit for bit."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from random_groups import random_groups
from random_log import DAY_S, random_log
from small_shop import DATASET, Shop

from seasonrec.batches.context import daily_counts, last_year, lift, momentum
from seasonrec.batches.context.calendar import CalendarContext
from seasonrec.batches.context.last_year import LastYearContext
from seasonrec.batches.context.momentum import MomentumContext
from seasonrec.batches.context.own_history import OwnHistoryContext
from seasonrec.batches.horizon import Horizon
from seasonrec.batches.requests import Requests

Patch = pytest.MonkeyPatch


FORMS = LastYearContext(use=("text", "id", "cluster"), groups=random_groups(DATASET["num_items"]))


def nothing_kept(monkeypatch: Patch) -> None:
    monkeypatch.setattr(momentum, "KEPT_BYTES", 0)
    monkeypatch.setattr(last_year, "KEPT_BYTES", 0)


def nothing_kept_and_no_table(monkeypatch: Patch) -> None:
    nothing_kept(monkeypatch)
    monkeypatch.setattr(daily_counts.DailyCounts.__init__, "__defaults__", (0,))
    monkeypatch.setattr(lift, "SHARE_BYTES", 0)
    monkeypatch.setattr(lift, "SUMMED_CELLS", 40)


def a_few_days_kept(monkeypatch: Patch) -> None:
    monkeypatch.setattr(momentum, "KEPT_BYTES", 12 * 4 * 4 * 30)


@pytest.mark.parametrize("change", [lambda _: None, nothing_kept, nothing_kept_and_no_table, a_few_days_kept])
@pytest.mark.parametrize(
    "context", [MomentumContext(), LastYearContext(), FORMS], ids=["momentum", "last_year", "forms"]
)
@pytest.mark.parametrize("horizon_days", [0, 20])
def test_columns_equal_the_selection(
    shop: Shop, context: Any, change: Callable[[Patch], None], horizon_days: int, monkeypatch: Patch
) -> None:
    expected_of = context.bind(shop.log, shop.spec)
    change(monkeypatch)
    bound = context.bind(shop.log, shop.spec)
    draw = np.random.default_rng(0)
    for size in (1, 7, shop.log.num_items):
        items = np.sort(draw.choice(shop.log.num_items, size, replace=False))
        requests = Requests.of_baskets(shop.log, draw.choice(shop.log.num_baskets, 30), Horizon(horizon_days * DAY_S))
        whole, some, again = expected_of(requests), bound(requests, items), bound(requests)
        for name in ("item", "category", "unsold") if isinstance(context, MomentumContext) else ("lifts",):
            assert getattr(some, name).equal(getattr(whole, name)[:, torch.from_numpy(items)])
            assert getattr(again, name).equal(getattr(whole, name))
        assert some.row.equal(whole.row)


def test_forms_give_the_same_momentum(monkeypatch: Patch) -> None:
    log = random_log(1)
    requests = Requests.of_baskets(log, np.arange(0, log.num_baskets, 5), Horizon(3 * DAY_S))
    dense = MomentumContext().bind(log, None)(requests)  # type: ignore[arg-type]
    nothing_kept_and_no_table(monkeypatch)
    sparse = MomentumContext().bind(log, None)(requests)  # type: ignore[arg-type]
    assert dense.item.equal(sparse.item)
    assert dense.category.equal(sparse.category)
    assert dense.item.abs().max() > 0.1


def test_categories_of_all_days_are_summed_at_the_second_batch(shop: Shop) -> None:
    bound = MomentumContext().bind(shop.log, shop.spec)
    one, other = shop.some_requests(2)[:1], shop.some_requests(2)[1:]
    for requests, days in ((one, 1), (one, 1), (other, bound.counts.num_days + 1)):
        bound(requests)
        assert len(bound.lift._shares) == days


@pytest.mark.parametrize("context", [OwnHistoryContext(), CalendarContext()], ids=lambda context: context.name)
def test_contexts_without_a_value_an_item_ignore_the_items(shop: Shop, context: Any) -> None:
    requests = shop.some_requests(20)
    bound = context.bind(shop.log, shop.spec)
    whole, some = bound(requests), bound(requests, np.asarray([1, 2]))
    for name, value in vars(whole).items():
        assert value.equal(getattr(some, name))
