"""Wrong dates against requests moved by hand, and the table of what they cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
import torch
from small_model import small_model
from small_shop import Shop

from seasonrec.batches.context.base import Context
from seasonrec.batches.context.calendar import CalendarContext
from seasonrec.batches.context.last_year import LastYearContext
from seasonrec.batches.context.momentum import MomentumContext
from seasonrec.batches.loader import BatchBuilder
from seasonrec.batches.requests import Requests
from seasonrec.data.calendar import local_days
from seasonrec.errors import UserError
from seasonrec.evaluation.counterfactual.dates import KINDS, WrongDate, check_days, on_wrong_date
from seasonrec.evaluation.counterfactual.trials import RIGHT, counterfactual_table, told_by
from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.ranking.evaluator import evaluate
from seasonrec.evaluation.ranking.scorers import ModelScorer
from seasonrec.models.mixture.fixed import FixedMixture
from seasonrec.models.season.calendar import CalendarSeason
from seasonrec.models.season.momentum import MomentumSeason

CONTEXTS: tuple[Context, ...] = (CalendarContext(), MomentumContext(), LastYearContext())
NAMES = tuple(context.name for context in CONTEXTS)
DAY_S = 86_400
QUIET = {"progress": lambda line: None}


@pytest.fixture(scope="module")
def builder(shop: Shop) -> BatchBuilder:
    return shop.builder({context.name: context for context in CONTEXTS})


def moved_by_hand(shop: Shop, requests: Requests, days: int, kind: str) -> Requests:
    """Returns requests moved to the same hour of the local clock."""
    zone = ZoneInfo(shop.log.timezone)

    def moved(time_s: int) -> float:
        wall = datetime.fromtimestamp(time_s, zone).replace(tzinfo=None) - timedelta(days=days)
        return wall.replace(tzinfo=zone).timestamp()

    times_s, until_s = (
        np.array([moved(int(t)) for t in s], np.int64) for s in (requests.times_s, requests.known_until_s)
    )
    times_s = requests.times_s if kind == "trend" else times_s
    until_s = requests.known_until_s if kind == "season" else until_s
    return replace(requests, times_s=times_s, known_until_s=until_s)


def same(first: Any, second: Any, names: Iterable[str] = ()) -> bool:
    wanted = tuple(names) or tuple(field.name for field in fields(first))
    return all(torch.equal(getattr(first, name), getattr(second, name)) for name in wanted)


def at_noon(requests: Requests) -> Requests:
    """Returns requests at about noon, where a change of clocks moves none into another day."""
    noon_s = requests.times_s // DAY_S * DAY_S + 17 * 3600
    return replace(requests, times_s=noon_s, known_until_s=noon_s)


@pytest.mark.parametrize("kind", KINDS)
def test_a_date_that_is_not_moved_gives_the_same_bits(shop: Shop, builder: BatchBuilder, kind: Any) -> None:
    requests = shop.some_requests(30, horizon_s=3 * DAY_S)
    right, moved = builder(requests), on_wrong_date(builder, NAMES, WrongDate(kind, 0))(requests)
    assert all(same(right.context[name], moved.context[name]) for name in NAMES)
    assert torch.equal(right.item_ids, moved.item_ids)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("days", [28, 91, 182])
def test_contexts_are_those_of_requests_moved_by_hand(shop: Shop, builder: BatchBuilder, kind: Any, days: int) -> None:
    requests = at_noon(shop.some_requests(30))
    moved = on_wrong_date(builder, NAMES, WrongDate(kind, days))(requests)
    by_hand = builder(moved_by_hand(shop, requests, days, kind))
    assert all(same(moved.context[name], by_hand.context[name]) for name in NAMES)
    right = builder(requests)
    assert same(right.context["calendar"], moved.context["calendar"]) == (kind == "trend")
    assert same(right.context["momentum"], moved.context["momentum"]) == (kind == "season")
    assert torch.equal(right.context["calendar"].weekday, moved.context["calendar"].weekday)


def test_all_but_the_contexts_of_the_season_stays_right(shop: Shop) -> None:
    model = small_model(shop, season={"momentum": MomentumSeason, "calendar": CalendarSeason})
    builder = shop.builder(model.contexts())
    requests = shop.some_requests(30)
    right, moved = builder(requests), on_wrong_date(builder, ("momentum", "calendar"), WrongDate("both", 91))(requests)
    assert same(right.context["own_history"], moved.context["own_history"])
    assert not same(right.context["momentum"], moved.context["momentum"])
    for field in fields(right):
        value = getattr(right, field.name)
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, getattr(moved, field.name)), field.name


def test_the_recent_sales_of_a_fitted_mixture_move_and_the_users_own_do_not(shop: Shop) -> None:
    model = small_model(shop, season={"momentum": MomentumSeason}, mixture=FixedMixture)
    model.mixture.is_fitted.fill_(True)
    scorer, requests = ModelScorer("mixed", model, shop.builder(model.contexts())), shop.some_requests(30)
    told = told_by(scorer)(WrongDate("trend", 91))
    assert isinstance(told, ModelScorer)
    right, moved = scorer.builder(requests).context, told.builder(requests).context
    assert (
        not right["sales_shares"]
        .by_day[right["sales_shares"].row]
        .equal(moved["sales_shares"].by_day[moved["sales_shares"].row])
    )
    assert not same(right["recent_lifts"], moved["recent_lifts"])
    assert same(right["own_shares"], moved["own_shares"], ("request", "item", "own"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_without_season_scores_alike_on_every_date(shop: Shop, kind: Any) -> None:
    model, requests = small_model(shop, season={}), shop.some_requests(30)
    builder = shop.builder({**model.contexts(), **{context.name: context for context in CONTEXTS}})
    right, moved = builder, on_wrong_date(builder, NAMES, WrongDate(kind, 182))
    first, second = (ModelScorer("none", model, one).score(requests) for one in (right, moved))
    assert torch.equal(first, second)


def test_before_the_log_there_is_no_trend(shop: Shop, builder: BatchBuilder) -> None:
    first = shop.spec.first_time_s
    start = Requests(np.array([0]), np.array([first + 30 * DAY_S]), np.array([first + 30 * DAY_S]), np.array([-1]))
    moved = on_wrong_date(builder, NAMES, WrongDate("both", 91))(start)
    assert builder(start).context["momentum"].item.abs().max() > 0
    assert not moved.context["momentum"].item.any()
    assert not moved.context["momentum"].category.any()
    day = local_days(start.times_s, shop.log.timezone) - 91
    assert moved.context["calendar"].day.tolist() == day.tolist()


def scorer_of(shop: Shop, **season: Any) -> ModelScorer:
    model = small_model(shop, season=season)
    return ModelScorer("small", model, shop.builder(model.contexts()))


def table_of(shop: Shop, scorer: ModelScorer, days: tuple[int, ...] = (28, 182)) -> pl.DataFrame:
    common = (shop.log, shop.spec, shop.split, Protocol(), days)
    return counterfactual_table(scorer, told_by(scorer), *common, **QUIET)


def test_the_table_has_the_right_date_first_and_then_every_wrong_one(shop: Shop) -> None:
    scorer = scorer_of(shop, momentum=MomentumSeason)
    table = table_of(shop, scorer)
    dates = table.select("kind", "days").unique(maintain_order=True).rows()
    assert dates == [(RIGHT, 0), *((kind, days) for kind in KINDS for days in (28, 182))]
    frame = evaluate(scorer, shop.log, shop.split, Protocol(), show_progress=False)
    bits = frame["bits"].explode().cast(pl.Float64).drop_nans().mean()
    everything = table.filter(slice="all", metric="bits")
    right, *wrong = everything.iter_rows(named=True)
    assert right["value"] == pytest.approx(bits, abs=1e-9)
    assert (right["difference"], right["low"], right["high"], right["before_log"]) == (None, None, None, 0)
    for line in wrong:
        assert line["difference"] == pytest.approx(line["value"] - right["value"], abs=1e-9)
        assert line["low"] <= line["difference"] <= line["high"]
        assert (line["n"], line["baskets"]) == (right["n"], frame.height)
    difference = {(line["kind"], line["days"]): line["difference"] for line in wrong}
    assert difference["season", 28] == difference["season", 182] == 0.0  # momentum reads no date
    assert difference["trend", 182] == difference["both", 182] != 0.0
    assert table["n"].min() > 0


def test_the_calendar_is_told_a_wrong_date_and_no_wrong_trend(shop: Shop) -> None:
    scorer = scorer_of(shop, calendar=CalendarSeason)
    with torch.no_grad():
        scorer.model.season["calendar"].condition.weight.normal_(generator=torch.Generator().manual_seed(0))
    everything = table_of(shop, scorer, (91,)).filter(slice="all", metric="bits")
    difference = dict(everything.select("kind", "difference").iter_rows())
    assert difference["trend"] == 0.0
    assert difference["season"] == difference["both"] != 0.0


@pytest.mark.parametrize(
    ("days", "told"),
    [
        ((28, 0), r"days must be whole weeks from 7 to 364 days, got \[0\]; whole weeks keep the weekday right"),
        ((-28,), r"got \[-28\]"),
        ((30, 91, 31), r"got \[30, 31\]; whole weeks keep the weekday right, for example \[28, 91, 182\]\."),
        ((371,), r"from 7 to 364 days, got \[371\]"),
        ((), r"days must be distinct wrong dates, at least one, got \[\]"),
        ((28, 28), r"days must be distinct wrong dates, at least one, got \[28, 28\]"),
    ],
)
def test_days_that_are_no_wrong_dates_are_refused(days: tuple[int, ...], told: str) -> None:
    with pytest.raises(UserError, match=told):
        check_days(days)


def test_a_model_without_season_has_no_date_to_be_wrong(shop: Shop) -> None:
    with pytest.raises(UserError, match=r"needs a model that reads the date, got season=\[\] and demand=none"):
        table_of(shop, scorer_of(shop))
