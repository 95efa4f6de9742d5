"""Tests of published recommenders against the papers' formulas in loops, and of what they may read."""

import numpy as np
import pytest
import torch
from counter_logs import NUM_ITEMS, NUM_USERS, cut_s, log_of_weeks, requests_at
from evaluation_logs import build_split

from seasonrec.batches.context.daily_counts import DailyCounts
from seasonrec.batches.requests import Requests
from seasonrec.data.log import EventLog
from seasonrec.evaluation.baselines import ease, neighbour_pool, tifu_knn
from seasonrec.evaluation.baselines.ease import Ease, EaseCounts, EaseOptions
from seasonrec.evaluation.baselines.fitter import ShareFitter
from seasonrec.evaluation.baselines.rankers import EASE, SETTINGS, TIFU_KNN, UP_CF, Ranker, RankerFitter
from seasonrec.evaluation.baselines.tifu_knn import TifuKnn, TifuOptions
from seasonrec.evaluation.baselines.up_cf import UpCf, UpCfOptions
from seasonrec.evaluation.protocol import Protocol

POOL_S, CUT_WEEK = cut_s(40), 63


def baskets_of(log: EventLog, user: int, until_s: int) -> list[np.ndarray]:
    """Returns the binary vectors of a user's baskets before a second, oldest first."""
    vectors = []
    for basket in range(log.user_baskets[user], log.user_baskets[user + 1]):
        if log.basket_times_s[basket] < until_s:
            vector = np.zeros(NUM_ITEMS)
            vector[log.event_items[log.basket_offsets[basket] : log.basket_offsets[basket + 1]]] = 1.0
            vectors.append(vector)
    return vectors


def vector_by_loops(log: EventLog, user: int, until_s: int, options: TifuOptions) -> np.ndarray:
    """Returns the paper's user vector: decayed means of groups of decayed means of baskets."""
    baskets = baskets_of(log, user, until_s)
    groups = []
    while baskets:
        groups.insert(0, baskets[-options.group_size :])
        baskets = baskets[: -options.group_size]
    if not groups:
        return np.zeros(NUM_ITEMS)
    means = [sum(options.basket_decay ** (len(g) - 1 - j) * v for j, v in enumerate(g)) / len(g) for g in groups]
    return sum(options.group_decay ** (len(means) - 1 - j) * mean for j, mean in enumerate(means)) / len(means)


@pytest.mark.parametrize(
    "options", [TifuOptions(3, 0.9, 0.7, 2, 0.6), TifuOptions(7, 1.0, 0.5, 3, 0.2), TifuOptions(1, 0.5, 0.9, 100, 0.9)]
)
def test_tifu_knn_follows_the_paper(options, monkeypatch):
    monkeypatch.setattr(tifu_knn, "VECTORS_AT_ONCE", 3 * NUM_ITEMS)
    log = log_of_weeks()
    pool = np.stack([vector_by_loops(log, user, POOL_S, options) for user in range(NUM_USERS)])
    expected = []
    for user in range(NUM_USERS):
        distance = np.linalg.norm(pool - pool[user], axis=1)
        distance[user] = np.inf
        near = pool[np.argsort(distance)[: min(options.num_neighbours, NUM_USERS - 1)]].mean(0)
        own = vector_by_loops(log, user, cut_s(CUT_WEEK), options)
        expected.append(options.own_share * own + (1 - options.own_share) * near)
    expected = np.stack(expected) / np.stack(expected).sum(1, keepdims=True)
    found = TifuKnn(log, POOL_S, options)(requests_at(cut_s(CUT_WEEK)))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_a_large_pool_is_thinned_and_a_user_without_history_scores_nothing(monkeypatch):
    log = log_of_weeks()
    monkeypatch.setattr(neighbour_pool, "POOL_BYTES", NUM_USERS * NUM_ITEMS * 2)
    thinned = TifuKnn(log, POOL_S, TifuOptions(3, 0.9, 0.7, 2, 0.6))
    assert thinned.pool_users.tolist() == [0, 2, 4, 6]
    assert UpCf(log, POOL_S, UpCfOptions(3, 0.5, 5.0)).pool_users.tolist() == [0, 2, 4, 6]
    for empty in (TifuKnn(log, 0, TifuOptions(3, 0.9, 0.7, 2, 0.6)), UpCf(log, 0, UpCfOptions(3, 0.5, 5.0))):
        assert torch.equal(empty(requests_at(0)), torch.zeros(NUM_USERS, NUM_ITEMS))


@pytest.mark.parametrize(
    "options", [UpCfOptions(3, 0.25, 5.0), UpCfOptions(None, 0.75, 1.0), UpCfOptions(1, 0.5, 50.0)]
)
def test_up_cf_follows_the_paper(options):
    log = log_of_weeks(0, other_seed=3)  # with only a few baskets, so that users differ
    then, now = cut_s(3), cut_s(9)

    def frequencies(user: int, until_s: int) -> np.ndarray:
        baskets = baskets_of(log, user, until_s)[-(options.recency or 10**6) :]
        return np.mean(baskets, axis=0) if baskets else np.zeros(NUM_ITEMS)

    sets = [set(np.flatnonzero(np.sum([np.zeros(NUM_ITEMS), *baskets_of(log, u, then)], 0))) for u in range(NUM_USERS)]
    expected = []
    for user in range(NUM_USERS):
        scores = frequencies(user, now)
        for other in range(NUM_USERS):
            if other != user and sets[user] & sets[other]:
                sizes = len(sets[user]) ** options.asymmetry * len(sets[other]) ** (1.0 - options.asymmetry)
                scores = scores + (len(sets[user] & sets[other]) / sizes) ** options.locality * frequencies(other, then)
        expected.append(scores / scores.sum())
    found = UpCf(log, then, options)(requests_at(now))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_ease_follows_the_paper():
    log = log_of_weeks(0, other_seed=3)  # with only a few baskets, so that users differ
    early, options = cut_s(3), EaseOptions(5.0)
    known = [np.array([np.zeros(NUM_ITEMS), *baskets_of(log, user, early)]).max(0) for user in range(NUM_USERS)]
    matrix = np.stack(known)
    inverse = np.linalg.inv(matrix.T @ matrix + options.l2 * np.eye(NUM_ITEMS))
    weights = np.eye(NUM_ITEMS) - inverse @ np.diag(1.0 / np.diag(inverse))
    assert 0.2 < matrix.mean() < 0.8
    np.testing.assert_allclose(np.diag(weights), 0.0, atol=1e-12)
    found = Ease(EaseCounts(log, early), options)(requests_at(early)).numpy()
    np.testing.assert_allclose(found, matrix @ weights, atol=1e-5)


def test_ease_scores_the_items_bought_most(monkeypatch):
    monkeypatch.setattr(ease, "MAX_ITEMS", 5)
    log = log_of_weeks(0, other_seed=3)
    found = Ease(EaseCounts(log, cut_s(3)), EaseOptions(5.0))
    assert len(found.items) == 5
    rest = np.setdiff1d(np.arange(NUM_ITEMS), found.items)
    assert not found(requests_at(cut_s(3)))[:, rest].any()


@pytest.mark.parametrize("ranker", [EASE, TIFU_KNN, UP_CF], ids=lambda ranker: ranker.name)
@pytest.mark.parametrize("horizon_days", [0.0, 10.0])
def test_a_recommender_reads_nothing_after_the_end_of_the_history(ranker, horizon_days):
    """Fits on the parts before two different futures; a request at the cut must not tell them apart."""
    protocol, horizon_s = Protocol(horizon_days=horizon_days), round(horizon_days * 86_400)
    scores = []
    for seed in (1, 2):
        log = log_of_weeks(CUT_WEEK, other_seed=seed)
        split = build_split(log, "2017-02-20", "2017-03-20")
        fitter = ShareFitter(log, DailyCounts(log), split, protocol)
        found = RankerFitter(log, split, protocol, fitter).fit(ranker)
        assert found.chosen["tried"] == SETTINGS
        scores.append(found.score(requests_at(cut_s(CUT_WEEK) + horizon_s, horizon_s)))
        torch.testing.assert_close(scores[-1].exp().sum(1), torch.ones(NUM_USERS))
    assert torch.equal(*scores)


def test_the_tables_of_a_recommender_end_before_the_first_request_of_the_validation_part():
    log, protocol = log_of_weeks(), Protocol(horizon_days=21.0)
    split = build_split(log, "2017-02-20", "2017-03-20")
    ranking = RankerFitter(log, split, protocol, ShareFitter(log, DailyCounts(log), split, protocol))
    requests = Requests.of_baskets(log, split.validation_baskets(log), protocol.horizon(split, log.timezone))
    assert ranking.until_s <= requests.known_until_s.min()


def test_a_recommender_with_another_budget_is_refused():
    with pytest.raises(ValueError, match=f"settings must hold {SETTINGS} entries, got 1; equal budgets compare"):
        Ranker("mine", [EaseOptions(1.0)], EASE.build, EASE.parts)
