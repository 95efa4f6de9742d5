from itertools import permutations
from math import log2

import numpy as np
import pytest
import torch
from torchmetrics.retrieval import (
    RetrievalHitRate,
    RetrievalMRR,
    RetrievalNormalizedDCG,
    RetrievalRecall,
)

from seasonrec.evaluation import metrics
from seasonrec.evaluation.ranking.ranks import rank_targets


def test_golden_case_by_hand():
    """Checks two baskets against values computed by hand.

    Basket 0: scores 9, 7, 7, 5, 3 for items a to e, targets a, b and e. a stands on rank 1; b shares ranks 2 and 3
    with c; e stands on rank 5. Basket 1: five equal scores, one target, ranks 1 to 5.
    """
    greater, ties = np.array([0, 1, 4, 0]), np.array([1, 2, 1, 5])
    basket = np.array([0, 0, 0, 1])

    # k = 2: a is in; b is in when it wins the draw against c; e is out; the fifth is in with 2 of 5.
    np.testing.assert_allclose(metrics.hit_rate(greater, ties, 2), [1, 1 / 2, 0, 2 / 5])
    # gains 1/log2(2) = 1 on rank 1 and 1/log2(3) on rank 2
    second, third = 1 / log2(3), 1 / log2(4)
    np.testing.assert_allclose(metrics.ndcg(greater, ties, 2), [1, second / 2, 0, (1 + second) / 5])
    np.testing.assert_allclose(metrics.ndcg(greater, ties, 3)[1], (second + third) / 2)
    # 1; (1/2 + 1/3)/2; 1/5; (1 + 1/2 + 1/3 + 1/4 + 1/5)/5 = (137/60)/5
    np.testing.assert_allclose(metrics.reciprocal_rank(greater, ties), [1, 5 / 12, 1 / 5, 137 / 300])

    # recall of basket 0: (1 + 1/2 + 0)/3
    np.testing.assert_allclose(metrics.basket_recall(greater, ties, basket, 2, 2), [1 / 2, 2 / 5])
    # the best list of three targets has two gains at k = 2, that of one target has one
    best = 1 + second
    np.testing.assert_allclose(
        metrics.basket_ndcg(greater, ties, basket, 2, 2), [(1 + second / 2) / best, (1 + second) / 5]
    )
    # a is surely in; in basket 1 the chance is 2 of 5
    np.testing.assert_allclose(metrics.basket_hit(greater, ties, basket, 2, 2), [1, 2 / 5])


def all_orders(scores: np.ndarray, targets: list[int], k: int) -> dict[str, float]:
    """Returns means over every order of equal scores, with each value computed on the order itself."""
    orders = [p for p in permutations(range(len(scores))) if all(np.diff(scores[list(p)]) <= 0)]
    ranks = np.array([[order.index(target) + 1 for target in targets] for order in orders])
    gains = np.where(ranks <= k, 1 / np.log2(ranks + 1), 0)
    best = sum(1 / log2(j + 1) for j in range(1, min(len(targets), k) + 1))
    return {
        "hr": (ranks <= k).mean(axis=0),
        "ndcg": gains.mean(axis=0),
        "mrr": (1 / ranks).mean(axis=0),
        "recall": (ranks <= k).mean(),
        "basket_ndcg": (gains.sum(axis=1) / best).mean(),
        "hit": (ranks <= k).any(axis=1).mean(),
    }


@pytest.mark.parametrize("seed", range(12))
def test_ties_are_the_mean_over_all_their_orders(seed):
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, 3, size=6).astype(float)
    targets = generator.choice(6, size=int(generator.integers(1, 5)), replace=False).tolist()
    greater = np.array([(scores > scores[t]).sum() for t in targets])
    ties = np.array([(scores == scores[t]).sum() for t in targets])
    basket = np.zeros(len(targets), dtype=np.int64)
    for k in (1, 2, 3, 5, 6, 8):
        expected = all_orders(scores, targets, k)
        np.testing.assert_allclose(metrics.hit_rate(greater, ties, k), expected["hr"])
        np.testing.assert_allclose(metrics.ndcg(greater, ties, k), expected["ndcg"])
        np.testing.assert_allclose(metrics.reciprocal_rank(greater, ties), expected["mrr"])
        assert metrics.basket_recall(greater, ties, basket, 1, k) == pytest.approx(expected["recall"])
        assert metrics.basket_ndcg(greater, ties, basket, 1, k) == pytest.approx(expected["basket_ndcg"])
        assert metrics.basket_hit(greater, ties, basket, 1, k) == pytest.approx(expected["hit"])


@pytest.mark.parametrize("k", [1, 5, 10, 60])
def test_agreement_with_torchmetrics_without_ties(k):
    # scores begin at 1, since torchmetrics takes an item of score 0 for not retrieved
    generator = torch.Generator().manual_seed(k)
    scores = torch.stack([torch.randperm(60, generator=generator) + 1 for _ in range(20)]).float()
    relevant = torch.rand(20, 60, generator=generator) < 0.1
    relevant[:, 0] = True
    request, items = relevant.nonzero(as_tuple=True)
    greater, ties, _ = (part.numpy() for part in rank_targets(scores, request, items))
    flat = (scores.flatten(), relevant.flatten().int(), torch.arange(20).repeat_interleave(60))
    basket = request.numpy()

    assert metrics.basket_ndcg(greater, ties, basket, 20, k).mean() == pytest.approx(
        float(RetrievalNormalizedDCG(top_k=k)(*flat[:2], indexes=flat[2])), abs=1e-6
    )
    assert metrics.basket_recall(greater, ties, basket, 20, k).mean() == pytest.approx(
        float(RetrievalRecall(top_k=k)(*flat[:2], indexes=flat[2])), abs=1e-6
    )
    assert metrics.basket_hit(greater, ties, basket, 20, k).mean() == pytest.approx(
        float(RetrievalHitRate(top_k=k)(*flat[:2], indexes=flat[2])), abs=1e-6
    )


@pytest.mark.parametrize("k", [1, 5, 10, 60])
def test_one_target_agrees_with_torchmetrics_without_ties(k):
    generator = torch.Generator().manual_seed(k)
    scores = torch.stack([torch.randperm(60, generator=generator) + 1 for _ in range(30)]).float()
    items = torch.randint(0, 60, (30,), generator=generator)
    relevant = torch.nn.functional.one_hot(items, 60)
    greater, ties, _ = (part.numpy() for part in rank_targets(scores, torch.arange(30), items))
    flat = (scores.flatten(), relevant.flatten(), torch.arange(30).repeat_interleave(60))

    assert metrics.reciprocal_rank(greater, ties).mean() == pytest.approx(
        float(RetrievalMRR()(*flat[:2], indexes=flat[2])), abs=1e-6
    )
    assert metrics.ndcg(greater, ties, k).mean() == pytest.approx(
        float(RetrievalNormalizedDCG(top_k=k)(*flat[:2], indexes=flat[2])), abs=1e-6
    )
    assert metrics.hit_rate(greater, ties, k).mean() == pytest.approx(
        float(RetrievalHitRate(top_k=k)(*flat[:2], indexes=flat[2])), abs=1e-6
    )


def test_a_basket_without_targets_has_no_value():
    one = (np.array([0]), np.array([1]), np.array([1]), 2, 5)
    for metric in (metrics.basket_recall, metrics.basket_ndcg, metrics.basket_hit):
        np.testing.assert_array_equal(metric(*one), [np.nan, 1.0])


def test_a_large_group_of_equal_scores_keeps_its_precision():
    # 3 targets in 1,000,000 equal items, 10 places: one less C(999997, 10) / C(1000000, 10)
    same = (np.zeros(3, np.int32), np.full(3, 1_000_000, np.int32), np.zeros(3, np.int64), 1, 10)
    missed = np.prod([(1_000_000 - 10 - j) / (1_000_000 - j) for j in range(3)])
    assert metrics.basket_hit(*same)[0] == pytest.approx(1 - missed, rel=1e-3)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_the_ceiling_is_the_mean_of_the_best_list_of_all(k):
    """Checks the ceilings against all orders of a small catalogue; the second basket has two items of no candidates."""
    baskets, missing = [[0, 3], [1], [0, 2, 4]], 2
    sizes = np.array([len(basket) for basket in baskets])
    for kind, metric in (("hr", metrics.hit_rate), ("ndcg", metrics.ndcg)):
        best = 0.0
        for basket in baskets:
            places = [np.array([order.index(item) for item in basket]) for order in permutations(range(5))]
            best += max(metric(place, np.ones_like(place), k).sum() for place in places)
        found = metrics.ceiling(kind, sizes, k, sizes.sum() + missing)
        assert found == pytest.approx(best / (sizes.sum() + missing), abs=1e-12)
