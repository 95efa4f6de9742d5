"""The oracle of a generated log, and the distance of other scorers to it."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from seasonrec.batches.requests import Requests
from seasonrec.batches.splits import TimeSplit, spec_of
from seasonrec.data.datasets.synthetic import Synthetic
from seasonrec.data.events import prepare
from seasonrec.evaluation.counterfactual.dates import WrongDate
from seasonrec.evaluation.counterfactual.trials import counterfactual_table
from seasonrec.evaluation.known_truth.divergence import divergence_table
from seasonrec.evaluation.known_truth.kinds import KINDS, item_kinds
from seasonrec.evaluation.known_truth.oracle import Oracle
from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.ranking.evaluator import quick_metrics

DATA = Synthetic(num_users=60, num_items=40, num_days=800, gone_share=0.1, promoted_share=0.8)
PROTOCOL = Protocol()


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return prepare(DATA, tmp_path_factory.mktemp("cache"), progress=lambda line: None)


@pytest.fixture(scope="module")
def split(log):
    return TimeSplit().resolve(log)


@pytest.fixture(scope="module")
def oracle(log):
    return Oracle(DATA.truth(), log)


@pytest.fixture(scope="module")
def baskets(log, split):
    return split.test_baskets(log)


class Popularity:
    """Shares of all events before the test, with one pseudo-event per item."""

    name = "popularity"

    def __init__(self, log, split):
        known = log.event_items[log.event_times_s < split.test_from_s]
        self.logits = torch.from_numpy(np.log(1.0 + np.bincount(known, minlength=log.num_items)))

    def score(self, requests):
        return self.logits.expand(len(requests), -1)


@pytest.fixture(scope="module")
def popularity(log, split):
    return Popularity(log, split)


def test_the_bits_of_the_oracle_are_the_entropy_of_its_probabilities(oracle, log, baskets):
    requests = Requests.of_baskets(log, baskets)
    found = quick_metrics(oracle, log, requests, PROTOCOL)["bits"]
    chances = oracle.probabilities(requests)
    entropy = -(chances * np.log2(np.maximum(chances, 1e-20))).sum(axis=1).mean()
    assert len(baskets) > 800
    assert found == pytest.approx(entropy, abs=0.12)  # three standard errors of the drawn targets


def test_nobody_beats_the_oracle(oracle, log, baskets, popularity):
    requests = Requests.of_baskets(log, baskets)
    found = {one.name: quick_metrics(one, log, requests, PROTOCOL)["bits"] for one in (oracle, popularity)}
    assert found["oracle"] < found["popularity"] - 0.5


def test_the_numbers_of_users_and_items_are_those_of_the_log(oracle, log, baskets):
    requests = Requests.of_baskets(log, baskets[:1])
    user = int(log.users["user_id"][int(requests.users[0])][5:])
    truth, day = oracle.truth, oracle._days(requests)
    expected = truth.basket_shares(truth.chances(np.array([user]), day))[0]
    found = dict(zip(log.items["item_id"], oracle.probabilities(requests)[0], strict=True))
    assert found == {f"item_{item:05d}": expected[item] for item in range(40)}


def test_a_wrong_date_costs_the_oracle_by_season_and_by_trend(oracle, log, split):
    table = counterfactual_table(
        oracle, lambda wrong: replace(oracle, wrong=wrong), log, spec_of(log, split), split, PROTOCOL, [91], str
    )
    lost = dict(table.filter(slice="all", metric="bits", days=91).select("kind", "difference").iter_rows())
    assert lost["season"] > 0.05
    assert lost["trend"] > 0.02
    assert lost["both"] > max(lost["season"], lost["trend"])


def test_a_wrong_trend_leaves_births_and_deaths_right(oracle, log, baskets):
    requests = Requests.of_baskets(log, baskets)
    for kind in ("season", "trend", "both"):
        told = replace(oracle, wrong=WrongDate(kind, 364)).probabilities(requests)
        np.testing.assert_array_equal(told > 0, oracle.probabilities(requests) > 0)


def test_the_bits_lost_add_up_to_the_divergence(oracle, log, baskets, popularity):
    requests = Requests.of_baskets(log, baskets)
    table = divergence_table(popularity, oracle, requests, PROTOCOL)
    mean = {name: table[name].sum() / len(baskets) for name in ("mass", "true_mass", "bits_lost")}
    assert mean["mass"] == pytest.approx(1)
    assert mean["true_mass"] == pytest.approx(1)
    assert table["bits_lost"].min() >= 0
    bits = {one.name: quick_metrics(one, log, requests, PROTOCOL)["bits"] for one in (oracle, popularity)}
    assert mean["bits_lost"] == pytest.approx(bits["popularity"] - bits["oracle"], abs=0.1)
    assert table.filter(kind=KINDS[0])["requests"].sum() == len(baskets)


def test_the_oracle_loses_nothing(oracle, log, baskets):
    table = divergence_table(oracle, oracle, Requests.of_baskets(log, baskets), PROTOCOL)
    assert table["bits_lost"].abs().max() < 1e-9
    assert table["mass"].equals(table["true_mass"])


def test_the_kinds_of_items_are_those_of_the_day():
    truth = DATA.truth()
    item = int(np.flatnonzero((truth.promotion >= 0) & (truth.first_day == 0) & (truth.last_day == 800))[0])
    start = int(truth.promotion[item])
    user = np.flatnonzero((truth.favourites != item).all(axis=1))[:1]
    expected = {start - 1: "year-round", start: "promotion", start + 27: "promotion", start + 28: "promotion over"}
    expected |= {start + 41: "promotion over", start + 42: "year-round", start + 364: "promotion a year ago"}
    for day, kind in expected.items():
        assert KINDS[item_kinds(truth, user, np.array([day]))[0, item]] == kind
    fan = np.flatnonzero((truth.favourites == item).any(axis=1))[:1]
    assert KINDS[item_kinds(truth, fan, np.array([start]))[0, item]] == "favourite"


def test_the_frame_has_a_line_for_each_user_and_kind(oracle, log, baskets, popularity):
    table = divergence_table(popularity, oracle, Requests.of_baskets(log, baskets[:50]), PROTOCOL)
    users = np.unique(log.basket_users[baskets[:50]])
    assert table.height == len(users) * len(KINDS)
    assert table.schema["user"] == pl.Int64
    assert table.filter(kind="favourite")["true_mass"].sum() / 50 == pytest.approx(DATA.habit_share, abs=0.1)
