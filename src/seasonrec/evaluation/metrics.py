"""Ranking metrics from counts, in expectation over the orders of equal scores.

A target has ``greater`` candidates above it and ``ties`` candidates with an equal score, itself included. In a random
order of ties it has each of the ranks ``greater + 1 .. greater + ties`` with the same probability. Every value is the
exact mean over these orders. A target that is no candidate has no place in the list: its ``ties`` are 0, and so is
every value. Letters: ``M`` targets, ``Q`` baskets.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Counts = NDArray[np.int32] | NDArray[np.int64]
Floats = NDArray[np.float64]


def hit_rate(greater: Counts, ties: Counts, k: int) -> Floats:
    """Returns ``hr@k`` of each target: its probability of a rank of at most ``k``; ``(M,)`` in 0..1."""
    return np.clip(k - greater.astype(np.int64), 0, ties) / np.maximum(ties, 1)


def ndcg(greater: Counts, ties: Counts, k: int) -> Floats:
    """Returns ``ndcg@k`` of each target: ``1 / log2(rank + 1)`` within the first ``k``, else 0; ``(M,)`` in 0..1."""
    gains = np.concatenate([[0.0], np.cumsum(_discounts(k))])
    first = np.minimum(greater, k)
    last = np.minimum(greater.astype(np.int64) + ties, k)
    return (gains[last] - gains[first]) / np.maximum(ties, 1)


def reciprocal_rank(greater: Counts, ties: Counts) -> Floats:
    """Returns ``mrr`` of each target: ``1 / rank`` over the whole list; ``(M,)`` in 0..1."""
    last = greater.astype(np.int64) + ties
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, int(last.max(initial=0)) + 1))])
    return (harmonic[last] - harmonic[greater]) / np.maximum(ties, 1)


def basket_recall(greater: Counts, ties: Counts, basket: NDArray[np.int64], num_baskets: int, k: int) -> Floats:
    """Returns ``basket_recall@k``: the share of a basket's targets among the first ``k``.

    Args:
        greater, ties: ``(M,)``, see :func:`~seasonrec.evaluation.ranking.ranks.rank_targets`.
        basket: ``(M,)``, the basket of each target in ``0..num_baskets - 1``.
        num_baskets: ``Q``.
        k: Length of the list.

    Returns:
        ``(Q,)`` in 0..1; NaN where a basket has no target.
    """
    return recall_of_hits(hit_rate(greater, ties, k), basket, num_baskets)


def recall_of_hits(hits: Floats, basket: NDArray[np.int64], num_baskets: int) -> Floats:
    """Returns :func:`basket_recall` from a known :func:`hit_rate` ``(M,)`` of every target."""
    return _divide(np.bincount(basket, hits, num_baskets), np.bincount(basket, minlength=num_baskets))


def basket_ndcg(greater: Counts, ties: Counts, basket: NDArray[np.int64], num_baskets: int, k: int) -> Floats:
    """Returns ``basket_ndcg@k``: discounted gain over that of the best list; arguments as in :func:`basket_recall`."""
    return ndcg_of_gains(ndcg(greater, ties, k), basket, num_baskets, k)


def ndcg_of_gains(gains: Floats, basket: NDArray[np.int64], num_baskets: int, k: int) -> Floats:
    """Returns :func:`basket_ndcg` from a known :func:`ndcg` ``(M,)`` of every target."""
    sizes = np.bincount(basket, minlength=num_baskets)
    best = np.concatenate([[0.0], np.cumsum(_discounts(k))])
    return _divide(np.bincount(basket, gains, num_baskets), best[np.minimum(sizes, k)])


def basket_hit(greater: Counts, ties: Counts, basket: NDArray[np.int64], num_baskets: int, k: int) -> Floats:
    """Returns ``basket_hit@k``: the probability of any target among the first ``k``; see :func:`basket_recall`.

    At most one group of equal scores lies across the end of the list. It fills ``k - greater`` places out of ``ties``
    items, ``m`` of them targets, so it misses them all with the hypergeometric probability ``C(t - m, s) / C(t, s)``.
    """
    sizes = np.bincount(basket, minlength=num_baskets)
    greater, ties = greater.astype(np.int64), ties.astype(np.int64)
    sure = np.bincount(basket[(ties > 0) & (greater + ties <= k)], minlength=num_baskets) > 0
    across = (greater < k) & (greater + ties > k)
    targets = np.bincount(basket[across], minlength=num_baskets)  # m
    slots, group = np.zeros(num_baskets, np.int64), np.ones(num_baskets, np.int64)
    slots[basket[across]] = k - greater[across]
    group[basket[across]] = ties[across]
    hit = sure.astype(np.float64)
    open_ = np.flatnonzero((targets > 0) & ~sure)  # few: logarithms of factorials are slow
    hit[open_] = np.clip(1.0 - _all_missed(group[open_], targets[open_], slots[open_]), 0.0, 1.0)
    return np.where(sizes > 0, hit, np.nan)


def ceiling(of_target: str, sizes: NDArray[np.int64], k: int, num_targets: int) -> float:
    """Returns the largest possible mean of ``hr@k`` or ``ndcg@k`` over targets: the items of a basket compete.

    The best list begins with the basket's own items, so that each but the first has a lower place.

    Args:
        of_target: ``hr`` or ``ndcg``.
        sizes: ``(Q,)`` number of each basket's targets that are candidates.
        k: Length of the list.
        num_targets: Number of all targets, those that are no candidates included.
    """
    gains = np.ones(k) if of_target == "hr" else _discounts(k)
    best = np.concatenate([[0.0], np.cumsum(gains)])
    return float(best[np.minimum(sizes, k)].sum() / num_targets)


def _all_missed(group: NDArray[np.int64], targets: NDArray[np.int64], slots: NDArray[np.int64]) -> Floats:
    """Returns ``C(group - targets, slots) / C(group, slots)``: the probability that no target is drawn."""
    others = group - targets
    possible = others >= slots
    others = np.where(possible, others, slots)
    logs = gammaln(others + 1) - gammaln(others - slots + 1) - gammaln(group + 1) + gammaln(group - slots + 1)
    return np.where(possible, np.exp(logs), 0.0)


def _discounts(k: int) -> Floats:
    return 1.0 / np.log2(np.arange(2, k + 2))


def _divide(sums: NDArray[Any], counts: NDArray[Any]) -> Floats:
    return np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
