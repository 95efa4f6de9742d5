"""Tests of the rows of the table: names, probabilities over the candidates, weights, budget, published figures."""

from typing import get_args

import numpy as np
import pytest
import torch
from counter_logs import cut_s, log_of_births, log_of_weeks, requests_at
from evaluation_logs import build_split
from random_groups import random_groups

from seasonrec.batches.candidates import Candidates, candidates_until_s
from seasonrec.batches.context.daily_counts import DailyCounts
from seasonrec.batches.splits import TimeSplit, spec_of
from seasonrec.data.datasets.complete_journey import CompleteJourney
from seasonrec.data.datasets.synthetic import Synthetic
from seasonrec.data.events import prepare
from seasonrec.data.spec import SECONDS_PER_DAY
from seasonrec.evaluation.baselines.counters import SETTINGS
from seasonrec.evaluation.baselines.fitter import ShareFitter
from seasonrec.evaluation.baselines.fitting import BASELINES, LAST_YEAR, MIXTURES, fit_baselines, last_year_mixtures
from seasonrec.evaluation.baselines.mixture import fit_mixture
from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.ranking.evaluator import evaluate
from seasonrec.evaluation.results.store import summarise
from seasonrec.evaluation.results.targets import RankedEvents


@pytest.mark.parametrize("rule", get_args(Candidates))
def test_every_row_gives_probabilities_of_the_candidates(rule):
    """Items 10 and 11 are first sold in week 60; a history that ends before knows them only by the rule."""
    log, protocol = log_of_weeks(), Protocol(candidates=rule, horizon_days=10.0)
    split = build_split(log, "2017-02-20", "2017-03-20")
    rows = fit_baselines(log, spec_of(log, split), split, protocol, random_groups(log.num_items))
    assert [row.name for row in rows] == list(BASELINES)
    for week in (20, 60, 61, 65):
        requests = requests_at(cut_s(week), 10 * SECONDS_PER_DAY)
        until_s = torch.from_numpy(candidates_until_s(rule, requests))
        candidates = torch.from_numpy(np.array(log.item_first_seen_s)) < until_s[:, None]
        for row in rows:
            found = row.score(requests).exp()
            torch.testing.assert_close((found * candidates).sum(1), torch.ones(len(found)))
            assert float(found[candidates].min()) > 1e-9, row.name


def test_tuned_rows_try_equally_many_settings(shop):
    groups = random_groups(shop.log.num_items)
    rows = fit_baselines(shop.log, shop.spec, shop.split, Protocol(), groups)
    tried = {row.name: row.chosen["tried"] for row in rows}
    without_settings = {name for name, settings in MIXTURES.items() if len(settings) == 1}
    assert {tried[name] for name in without_settings} == {1}
    assert {tried[name] for name in set(BASELINES) - without_settings} == {SETTINGS}


def test_items_that_were_never_sold_share_the_weight_that_they_get_on_validation():
    """Half of the targets is an item first sold in the week before the request, which the horizon hides."""
    log, protocol = log_of_births(), Protocol(candidates="before_request", horizon_days=7.0)
    split = build_split(log, "2016-06-01", "2016-08-01")
    fitter = ShareFitter(log, DailyCounts(log), split, protocol)
    for name, settings in MIXTURES.items():
        assert fitter.fit(name, settings).chosen["weights"]["newborn"] == pytest.approx(0.5, abs=0.05), name


def test_a_row_of_recent_sales_gives_the_rest_to_the_floor(shop):
    fitter = ShareFitter(shop.log, DailyCounts(shop.log), shop.split, Protocol())
    row, requests = fitter.fit("recent_7d", MIXTURES["recent_7d"]), shop.some_requests(5)
    counts = DailyCounts(shop.log)
    week = counts.window(counts.known_days(requests), 7).astype(float)
    candidates = np.asarray(shop.log.item_first_seen_s) < requests.known_until_s[:, None]
    assert set(candidates.sum(1).tolist()) != {shop.log.num_items}
    recent, uniform, _ = row.chosen["weights"].values()
    expected = recent * week / week.sum(1, keepdims=True) + uniform * candidates / candidates.sum(1, keepdims=True)
    np.testing.assert_allclose(row.score(requests).exp(), expected / (recent + uniform), rtol=1e-4, atol=1e-20)


def test_mixture_weights_are_those_of_greatest_likelihood():
    """The third part is absent in half of the requests, which then share its weight."""
    draw = np.random.default_rng(0)
    parts, truth = draw.dirichlet(np.ones(5), size=3), np.array([0.2, 0.5, 0.3])
    present = np.ones((40_000, 3), dtype=bool)
    present[::2, 2] = False
    chance = (truth * present) / (truth * present).sum(1, keepdims=True)
    part = (draw.random((len(chance), 1)) > chance.cumsum(1)).sum(1)
    target = (draw.random((len(chance), 1)) > parts[part].cumsum(1)).sum(1).clip(max=4)
    probabilities = torch.from_numpy(parts[:, target].T * present)
    weights = fit_mixture(probabilities, torch.from_numpy(present))
    assert weights.sum().item() == pytest.approx(1.0)
    np.testing.assert_allclose(weights, truth, atol=0.04)

    def likelihood(values):
        return float((probabilities @ values / (torch.from_numpy(present).double() @ values)).log().mean())

    best = likelihood(weights.double())
    for step in torch.eye(3).double():
        for size in (0.02, -0.02):
            moved = (weights.double() + size * step).clamp(min=1e-9)
            assert likelihood(moved / moved.sum()) < best


def test_forms_of_texts_are_left_out_without_texts(shop):
    assert list(last_year_mixtures(None)) == ["last_year_id"]
    names = [row.name for row in fit_baselines(shop.log, shop.spec, shop.split, Protocol())]
    assert names == [name for name in BASELINES if name not in ("last_year_cluster", "last_year_text")]


def test_last_year_is_left_out_where_the_log_has_none(tmp_path):
    source = Synthetic(num_users=20, num_items=20, num_days=200)
    log = prepare(source, tmp_path, progress=lambda line: None)
    split = TimeSplit().resolve(log)
    names = [baseline.name for baseline in fit_baselines(log, spec_of(log, split), split, Protocol())]
    assert names == [name for name in BASELINES if name not in LAST_YEAR]


def test_known_figures_of_complete_journey(tmp_path):
    """Published weekly counts gave .1135/.0635 and .1142/.0639; these counts move by day and merge duplicate lines."""
    log = prepare(CompleteJourney(), tmp_path, progress=lambda line: None)
    split = TimeSplit(train_from="2017-01-02", validation_from="2017-10-02", test_from="2017-11-06").resolve(log)
    fitter = ShareFitter(log, DailyCounts(log), split, Protocol())
    for name, hit_rate, ndcg in (("popularity", 0.1135, 0.0635), ("recent_28d", 0.1142, 0.0639)):
        frame = evaluate(fitter.fit(name, MIXTURES[name]), log, split, Protocol(), show_progress=False)
        values = summarise(RankedEvents.of(frame), (10,))["all"]
        assert values["hr@10"] == pytest.approx(hit_rate, abs=0.001)
        assert values["ndcg@10"] == pytest.approx(ndcg, abs=0.0005)


def test_a_horizon_moves_the_end_of_what_a_row_reads():
    log = log_of_weeks()
    split = build_split(log, "2017-02-20", "2017-03-20")
    row = ShareFitter(log, DailyCounts(log), split, Protocol()).fit("recent_7d", MIXTURES["recent_7d"])
    horizon_s = 14 * SECONDS_PER_DAY
    later, earlier = row.score(requests_at(cut_s(50), horizon_s)), row.score(requests_at(cut_s(48)))
    assert torch.equal(later, earlier)
    assert not torch.equal(later, row.score(requests_at(cut_s(50))))
