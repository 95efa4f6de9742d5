"""Occasions in contexts: known from their day on, audited, and their items."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from small_shop import MAX_SEQ_LEN, Shop

from seasonrec.batches.audit import Audited, LeakError, audit
from seasonrec.batches.context.base import BoundContext
from seasonrec.batches.context.calendar import FAR_DAYS, CalendarContext, holiday_names
from seasonrec.batches.context.occasion_items import OccasionItems, OccasionItemsContext
from seasonrec.batches.requests import Requests
from seasonrec.batches.splits import spec_of
from seasonrec.data.calendar import local_days
from seasonrec.data.log import EventLog
from seasonrec.data.occasions import ALWAYS_KNOWN, Occasion
from seasonrec.data.spec import DataSpec

DAY = 86_400


@pytest.fixture(scope="module")
def sale_day(shop: Shop) -> int:
    """A day in the middle of the validation part."""
    middle = (shop.split.validation_from_s + shop.split.validation_until_s) // 2
    return int(local_days(np.array([middle]), shop.log.timezone)[0])


@pytest.fixture(scope="module")
def with_sale(shop: Shop, sale_day: int) -> Shop:
    """The shop with a sale of two items that is announced five days before, and one a year before."""
    listed = tuple(shop.log.items["item_id"][:2])
    sale = Occasion("Sale", sale_day, sale_day + 1, sale_day - 5, listed)
    log = replace(shop.log, occasions=(Occasion("Sale", sale_day - 364, sale_day - 364, ALWAYS_KNOWN), sale))
    return replace(shop, log=log, spec=spec_of(log, shop.split))


def asked(shop: Shop, days: list[int], horizon_days: int = 0) -> Requests:
    """Returns requests of user 0 at noon in New York."""
    times = np.array(days) * DAY + 17 * 3600
    return Requests(times * 0, times, times - horizon_days * DAY, times * 0 - 1)


def test_an_occasion_is_seen_from_its_announcement_on(with_sale: Shop, sale_day: int) -> None:
    column = holiday_names(with_sale.spec).index("Sale")
    calendar = CalendarContext().bind(with_sale.log, with_sale.spec)
    days = [sale_day - 6, sale_day - 5, sale_day, sale_day + 1, sale_day + 3]
    seen = calendar(asked(with_sale, days))
    assert seen.holiday_days[:, column].tolist() == [FAR_DAYS, -5, 0, 0, 2]
    assert seen.holiday_known[:, column].tolist() == [0, 1, 1, 1, 1]
    week_ahead = calendar(asked(with_sale, days, horizon_days=7))
    assert (week_ahead.holiday_days[:4, column] == FAR_DAYS).all()


def test_items_of_an_occasion(with_sale: Shop, sale_day: int) -> None:
    context = OccasionItemsContext().bind(with_sale.log, with_sale.spec)
    requests = asked(with_sale, [sale_day - 6, sale_day - 4, sale_day + 1, sale_day + 2])
    found: OccasionItems = context(requests)
    near = found.near[found.row]  # (4, V, 2)
    assert near[:, 0].tolist() == near[:, 1].tolist()
    torch.testing.assert_close(near[:, 0], torch.tensor([[0, 0], [0, 0.5], [1, 0], [0, 0]]))
    assert not near[:, 2:].any()
    some: OccasionItems = context(requests, np.array([1, 5]))
    assert torch.equal(some.near[some.row], near[:, [1, 5]])


@dataclass(frozen=True)
class CalendarOfAllTime:
    """A calendar that ignores ``known_from``: the planted leak."""

    name: str = "calendar"

    def bind(self, log: EventLog, spec: DataSpec) -> BoundContext:
        known = tuple(replace(one, known_from_day=ALWAYS_KNOWN) for one in log.occasions)
        return CalendarContext().bind(replace(log, occasions=known), spec)


def _audit(shop: Shop, context: Any) -> list[str]:
    made = {"facts": shop.facts()}
    run = Audited(shop.log, shop.spec, shop.split, MAX_SEQ_LEN, contexts={"calendar": context}, made=made)
    return audit(replace(run, made_again=made))


def test_auditor_refuses_an_occasion_that_is_seen_before_it_is_known(with_sale: Shop, sale_day: int) -> None:
    late = replace(with_sale.log.occasions[1], known_from_day=sale_day + 2)
    shop = replace(with_sale, log=replace(with_sale.log, occasions=(with_sale.log.occasions[0], late)))
    assert len(_audit(shop, CalendarContext())) == 5
    with pytest.raises(LeakError, match=r"context\.calendar\.holiday_days \(CalendarOfAllTime\)"):
        _audit(shop, CalendarOfAllTime())
