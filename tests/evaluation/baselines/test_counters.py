"""Tests of the fitted counters on small logs: newborn items, last year, the future, the horizon and the budget."""

import numpy as np
import pytest
import torch
from counter_logs import NUM_ITEMS, cut_s, log_of_births, log_of_weeks, requests_at
from evaluation_logs import build_split
from random_groups import random_groups

from seasonrec.batches.context.daily_counts import DailyCounts
from seasonrec.batches.context.share_index import SharesIndex
from seasonrec.data.spec import SECONDS_PER_DAY
from seasonrec.evaluation.baselines.counters import (
    SETTINGS,
    Counter,
    CounterFitter,
    LogLinearBaseline,
    Setting,
    counters,
)
from seasonrec.evaluation.baselines.evidence import LiftOptions, LiftTables
from seasonrec.evaluation.baselines.fitter import ShareFitter
from seasonrec.evaluation.baselines.fitting import fit_baselines
from seasonrec.evaluation.protocol import Protocol

CUT_WEEK = 63
HORIZON_S = 10 * SECONDS_PER_DAY


@pytest.fixture(scope="module")
def fitted():
    """Returns the counters of a log, fitted with a horizon, by name."""
    log = log_of_weeks()
    split = build_split(log, "2017-02-20", "2017-03-20")
    counts = DailyCounts(log)
    fitter = ShareFitter(log, counts, split, Protocol(horizon_days=HORIZON_S / SECONDS_PER_DAY))
    counting = CounterFitter(log, counts, fitter)
    return {counter.name: counting.fit(counter) for counter in counters(True, random_groups(NUM_ITEMS))}


@pytest.mark.parametrize("name", [counter.name for counter in counters(True)])
@pytest.mark.parametrize("horizon_s", [0, HORIZON_S])
def test_a_counter_reads_nothing_after_the_end_of_the_history(fitted, name, horizon_s):
    requests = requests_at(cut_s(CUT_WEEK) + horizon_s, horizon_s)
    scores = []
    for seed in (1, 2):
        log = log_of_weeks(CUT_WEEK, other_seed=seed)
        row, counts = fitted[name], DailyCounts(log)
        index, lifts = SharesIndex(log, row.shares.options), LiftTables(counts, row.lifts.options)
        again = LogLinearBaseline(name, index, lifts, row.model)
        scores.append(again.score(requests))
    assert torch.equal(*scores)
    assert not torch.equal(scores[0], again.score(requests_at(cut_s(CUT_WEEK - 1)))), "earlier requests know less"


def test_the_newborn_share_is_what_new_items_get_on_validation():
    """Half of the targets is an item that was first sold in the week before the request, which the horizon hides."""
    log, protocol = log_of_births(), Protocol(candidates="before_request", horizon_days=7.0)
    counts = DailyCounts(log)
    fitter = ShareFitter(log, counts, build_split(log, "2016-06-01", "2016-08-01"), protocol)
    row = CounterFitter(log, counts, fitter).fit(Counter("without_lifts", [Setting()] * SETTINGS))
    assert row.chosen["weights"]["newborn"][0] == pytest.approx(0.5, abs=0.05)


def test_the_lift_of_last_year_is_that_of_the_window_around_the_same_day():
    log = log_of_weeks()
    tables = LiftTables(DailyCounts(log), LiftOptions(half_windows_days=(3,), prior_events=5.0))
    assert tables.options.names == ["item_last_year_3d", "category_last_year_3d"]
    days = np.asarray(log.basket_times_s) // SECONDS_PER_DAY
    today = cut_s(60) // SECONDS_PER_DAY
    sizes = np.diff(log.basket_offsets)
    sold, known = (
        np.bincount(log.event_items, np.repeat(chosen, sizes), log.num_items)
        for chosen in (np.abs(days - (today - 364)) <= 3, days < today)
    )
    expected = np.log((sold + 5.0) / ((known + 1.0) / (known.sum() + log.num_items) * sold.sum() + 5.0))
    np.testing.assert_allclose(tables(requests_at(cut_s(60)))[0, :, 0], expected, rtol=1e-5)


def test_every_row_tries_equally_many_settings_and_says_what_it_chose(fitted):
    assert {row.chosen["tried"] for row in fitted.values()} == {SETTINGS}
    for row in fitted.values():
        weights = np.array(list(row.chosen["weights"].values()))
        np.testing.assert_allclose(weights.sum(0), 1.0, rtol=1e-5)
        assert weights.shape[1] == len(row.chosen["baskets_from"]) + 1
    assert len(fitted["personal_by_history"].chosen["baskets_from"]) > 1
    row = fitted["personal_last_year"]
    (days,) = row.lifts.options.half_windows_days
    assert list(row.chosen["exponents"]) == [f"{what}_last_year_{days}d" for what in ("item", "category")]
    forms = [f"last_year_{days}d", f"last_year_cluster_{days}d", f"last_year_text_{days}d"]
    assert [name for name in row.chosen["weights"] if "last_year" in name] == forms


def test_a_counter_with_another_budget_is_refused():
    with pytest.raises(ValueError, match=f"settings must hold {SETTINGS} entries, got 1; equal budgets compare"):
        Counter("mine", [Setting()])


def test_a_bin_begins_at_one_basket_or_more(fitted):
    """Quantiles of short histories are 0, and no user has fewer baskets than that."""
    assert min(fitted["personal_by_history"].chosen["baskets_from"]) >= 1.0


def test_last_year_is_no_worse_than_the_popularity_it_contains(shop):
    rows = {row.name: row for row in fit_baselines(shop.log, shop.spec, shop.split, Protocol())}
    requests = shop.some_requests(200)
    targets = shop.log.event_items[shop.log.basket_offsets[requests.baskets]].astype(np.int64)
    bits = {
        name: -float(rows[name].score(requests)[range(len(requests)), targets].mean())
        for name in ("personal_last_year", "popularity", "personal_recent")
    }
    assert bits["personal_last_year"] < bits["popularity"]
    assert bits["personal_last_year"] < bits["personal_recent"] + 0.02
