"""Tests of the fitted counters on small logs: newborn items, last year, the future, the horizon and the budget."""

import numpy as np
import pytest
import torch
from counter_logs import NUM_ITEMS, cut_s, log_of_births, log_of_weeks, requests_at
from evaluation_logs import build_split

from seasonrec.batches.requests import Requests
from seasonrec.batches.splits import spec_of
from seasonrec.data.spec import SECONDS_PER_DAY
from seasonrec.evaluation.baselines.components import PersonalComponents, PopularityComponents
from seasonrec.evaluation.baselines.counters import SETTINGS, Counter, CounterFitter, LogLinearBaseline, counters
from seasonrec.evaluation.baselines.evidence import DayOptions, DayTables
from seasonrec.evaluation.baselines.fitter import HALF_LIVES_DAYS
from seasonrec.evaluation.baselines.fitting import fit_baselines
from seasonrec.evaluation.protocol import Protocol

CUT_WEEK = 63
HORIZON_S = 10 * SECONDS_PER_DAY


@pytest.fixture(scope="module")
def fitted():
    """Returns the counters of a log, fitted with a horizon, by name."""
    log = log_of_weeks()
    split = build_split(log, "2017-02-20", "2017-03-20")
    spec = spec_of(log, split)
    requests = Requests.of_baskets(log, split.validation_baskets(log), HORIZON_S)
    fitter = CounterFitter(log, PopularityComponents(log), PersonalComponents(log, spec, HALF_LIVES_DAYS), requests)
    return {counter.name: fitter.fit(counter) for counter in counters(has_last_year=True)}


@pytest.mark.parametrize("name", [counter.name for counter in counters(has_last_year=True)])
@pytest.mark.parametrize("horizon_s", [0, HORIZON_S])
def test_a_counter_reads_nothing_after_the_end_of_the_history(fitted, name, horizon_s):
    requests = requests_at(cut_s(CUT_WEEK) + horizon_s, horizon_s)
    scores = []
    for seed in (1, 2):
        log = log_of_weeks(CUT_WEEK, other_seed=seed)
        popular = PopularityComponents(log)
        index = PersonalComponents(log, spec_of(log, build_split(log, "2017-02-20", "2017-03-20")), HALF_LIVES_DAYS)
        own = fitted[name]
        again = LogLinearBaseline(name, DayTables(popular, own.tables.options), index.index, own.model)
        scores.append(again.score(requests))
    assert torch.equal(*scores)
    assert not torch.equal(scores[0], again.score(requests_at(cut_s(CUT_WEEK - 1)))), "earlier requests know less"


@pytest.mark.parametrize("name", [counter.name for counter in counters(has_last_year=True)])
def test_probabilities_sum_to_one_and_none_is_zero(fitted, name):
    found = fitted[name].score(requests_at(cut_s(65))).exp()
    torch.testing.assert_close(found.sum(1), torch.ones(len(found)))
    assert float(found.min()) > 1e-9


def test_newborn_items_share_their_part_equally():
    log = log_of_weeks()
    tables = DayTables(PopularityComponents(log), DayOptions())
    _, popular, _ = tables(requests_at(cut_s(50)))
    uniform, newborn = popular[0, :, -2], popular[0, :, -1]
    torch.testing.assert_close(uniform, torch.full((NUM_ITEMS,), 1 / NUM_ITEMS))
    assert newborn.tolist() == [0.0] * 10 + [0.5, 0.5], "items 10 and 11 are not sold before week 60"
    _, popular, _ = tables(requests_at(int(log.basket_times_s.max()) + SECONDS_PER_DAY))
    torch.testing.assert_close(popular[0, :, -1], uniform), "every item was sold: no item is newborn"


def test_the_newborn_share_is_what_new_items_get_on_validation():
    """Half of the targets is an item that was first sold in the week before the request, which the horizon hides."""
    log = log_of_births()
    requests = Requests.of_baskets(log, np.flatnonzero(log.basket_times_s > cut_s(20)), 7 * SECONDS_PER_DAY)
    personal = PersonalComponents(log, spec_of(log, build_split(log, "2016-06-01", "2016-08-01")), HALF_LIVES_DAYS)
    fitter = CounterFitter(log, PopularityComponents(log), personal, requests)
    row = fitter.fit(Counter("without_lifts", [DayOptions()] * SETTINGS))
    assert row.chosen["weights"]["newborn"][0] == pytest.approx(0.5, abs=0.05)


def test_last_years_share_is_the_window_around_the_same_day():
    log = log_of_weeks()
    popular = PopularityComponents(log)
    tables = DayTables(popular, DayOptions(half_window_days=3))
    assert tables.options.share_names == ["recent_7d", "recent_28d", "popularity", "last_year", "uniform", "newborn"]
    requests = requests_at(cut_s(60))
    _, shares, _ = tables(requests)
    days = np.asarray(log.basket_times_s) // SECONDS_PER_DAY
    around = np.abs(days - (cut_s(60) // SECONDS_PER_DAY - 364)) <= 3
    events = np.repeat(around, np.diff(log.basket_offsets))
    sold = np.bincount(log.event_items[events], minlength=NUM_ITEMS)
    expected = (sold + shares[0, :, 2].numpy()) / (sold.sum() + 1)
    np.testing.assert_allclose(shares[0, :, 3].numpy(), expected, rtol=1e-5)


def test_every_row_tries_equally_many_settings_and_says_what_it_chose(fitted):
    assert {row.chosen["tried"] for row in fitted.values()} == {SETTINGS}
    for row in fitted.values():
        weights = np.array(list(row.chosen["weights"].values()))
        np.testing.assert_allclose(weights.sum(0), 1.0, rtol=1e-5)
        assert weights.shape[1] == len(row.chosen["baskets_from"]) + 1
    assert len(fitted["personal_by_history"].chosen["baskets_from"]) > 1
    assert list(fitted["last_year"].chosen["exponents"]) == ["item_last_year", "category_last_year"]


def test_a_counter_with_another_budget_is_refused():
    with pytest.raises(ValueError, match=f"settings must hold {SETTINGS} entries, got 1; equal budgets compare"):
        Counter("mine", [DayOptions()])


def test_a_bin_begins_at_one_basket_or_more(fitted):
    """Quantiles of short histories are 0, and no user has fewer baskets than that."""
    assert min(fitted["personal_by_history"].chosen["baskets_from"]) >= 1.0


def test_last_year_is_no_worse_than_the_popularity_it_contains(shop):
    rows = {row.name: row for row in fit_baselines(shop.log, shop.spec, shop.split, Protocol())}
    requests = shop.some_requests(200)
    targets = shop.log.event_items[shop.log.basket_offsets[requests.baskets]].astype(np.int64)
    bits = {
        name: -float(rows[name].score(requests)[range(len(requests)), targets].mean())
        for name in ("last_year", "popularity", "personal_recent")
    }
    assert bits["last_year"] < bits["popularity"]
    assert bits["last_year"] < bits["personal_recent"] + 0.02
