"""Seasons with a user's own calendar: ramps, words, listed items."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hashed_reader import HashedReader
from small_shop import Shop

from seasonrec.batches.context.calendar import CalendarContext
from seasonrec.batches.requests import Requests
from seasonrec.batches.splits import spec_of
from seasonrec.data.occasions import ALWAYS_KNOWN, Occasion
from seasonrec.models.scoring import ScoredItems
from seasonrec.models.season import text as text_module
from seasonrec.models.season.calendar import CalendarSeason
from seasonrec.models.season.text import TextSeason, date_in_words

SALE = int((np.datetime64("2017-08-10") - np.datetime64("1970-01-01")).astype(int))
DAY = 86_400


def with_occasions(shop: Shop, *occasions: Occasion) -> Shop:
    log = replace(shop.log, occasions=occasions)
    return replace(shop, log=log, spec=spec_of(log, shop.split))


def asked(days: list[int], known: list[int]) -> Requests:
    times, until = (np.array(each) * DAY + 17 * 3600 for each in (days, known))
    return Requests(times * 0, times, until, times * 0 - 1)


def test_words_name_an_occasion_for_requests_that_know_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_module, "TextReader", HashedReader)
    shop = with_occasions(shop, Occasion("Grand Sale", SALE, SALE + 2, SALE - 4))
    season = TextSeason(facts=shop.facts())
    calendar = CalendarContext().bind(shop.log, shop.spec)
    dates, row = season._dates(calendar(asked([SALE, SALE, SALE + 30], [SALE, SALE - 5, SALE + 30])))
    read = HashedReader("", shop.cache_dir)
    plain = date_in_words(SALE, "US", 14)
    assert plain == "shopping in August, summer"
    named = f"{plain}, for Grand Sale"
    expected = read([named, plain, date_in_words(SALE + 30, "US", 14)]) - season.centre
    torch.testing.assert_close(dates[row], expected)


def test_holidays_and_occasions_are_named_in_the_order_of_their_dates() -> None:
    thanksgiving = int((np.datetime64("2017-11-23") - np.datetime64("1970-01-01")).astype(int))
    near = [(thanksgiving - 1, "Pie Day"), (thanksgiving + 1, "Black Friday Sale")]
    words = date_in_words(thanksgiving - 2, "US", 14, near)
    assert words == "shopping in November, autumn, for Pie Day, for Thanksgiving Day"


def test_occasions_have_a_ramp_and_a_curve(shop: Shop) -> None:
    plain = CalendarSeason(facts=shop.facts())
    before = Occasion("Grand Sale", SALE - 364, SALE - 364, ALWAYS_KNOWN)
    own = with_occasions(shop, before, Occasion("Grand Sale", SALE, SALE, ALWAYS_KNOWN))
    season = CalendarSeason(facts=own.facts())
    assert season.num_features == plain.num_features + 7
    assert season.gain is None
    calendar = CalendarContext().bind(own.log, own.spec)(
        asked([SALE - 7, SALE, SALE - 60], [SALE - 7, SALE, SALE - 60])
    )
    up, down = season.usual(calendar)[:, 7:9].T
    torch.testing.assert_close(up, torch.tensor([0.5, 1.0, 0.0]))
    assert down.tolist() == [0.0, 0.0, 0.0]
    curve = season.yearly(calendar)[:, -7:]  # bumps at -28, -21, -14, -7, 0, 1, 7
    assert curve.tolist() == [[0, 0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 1, 0, 0], [0] * 7]


def test_listed_items_gain_by_two_weights(shop: Shop) -> None:
    listed = tuple(shop.log.items["item_id"][3:4])
    own = with_occasions(shop, Occasion("Grand Sale", SALE, SALE, ALWAYS_KNOWN, listed))
    season = CalendarSeason(facts=own.facts())
    assert sorted(set(season.state_dict()) - set(CalendarSeason(facts=shop.facts()).state_dict())) == ["gain"]
    bound = {context.name: context.bind(own.log, own.spec) for context in season.reads}
    requests = asked([SALE - 4, SALE, SALE + 1], [SALE - 4, SALE, SALE + 1])
    context = {name: compute(requests) for name, compute in bound.items()}
    items, query = ScoredItems(torch.randn(own.log.num_items, 16), None, own.log.num_items), torch.zeros(3, 16)
    start = season(query, items, context).scores
    assert start is not None
    with torch.no_grad():
        season.gain.copy_(torch.tensor([2.0, 4.0]))
    gained = season(query, items, context).scores - start
    assert gained[:, 3].tolist() == [2.0, 2.0, 0.0]  # half of the way in the week before, then the day itself
    assert not gained[:, :3].any()
