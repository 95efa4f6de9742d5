"""Softmax over the whole catalogue."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.batches.sampling import NegativeSampler
from seasonrec.models.recommender import Reading, SeasonalRecommender
from seasonrec.models.scoring import LinearScores, ScoredItems
from seasonrec.models.task.candidates import mean_of
from seasonrec.training.loss.linear_cross_entropy import Targets, linear_cross_entropy

WHOLE_SCORES = 2**25
"""Scores (requests times items) held at once in training: 128 MiB of float32, plus some copies."""


class FullSoftmax:
    """Cross-entropy over all candidates.

    Scores that are a product of factors are never held in full, see
    :func:`~seasonrec.training.loss.linear_cross_entropy.linear_cross_entropy`. A season or a habit that adds a score
    per request and item needs the matrix ``(N, V)``. If it is large, a few requests are computed at a time, and again
    for the gradient.
    """

    sampler: NegativeSampler | None = None
    gives_probabilities = True

    def __init__(self, *, facts: Facts) -> None:
        self._first_seen, self._order = facts.item_first_seen_s.sort(stable=True)
        self._place = torch.empty_like(self._order).scatter_(0, self._order, torch.arange(len(self._order)))

    def __call__(self, model: SeasonalRecommender, batch: SequenceBatch, reading: Reading | None = None) -> Tensor:
        reading = reading or model.read(batch)
        query, items = reading.query, reading.items
        if model.scores_are_linear:
            return self._linear(model.linear_scores(query, items, batch), batch)
        step = max(1, WHOLE_SCORES // items.num_items)
        if step >= batch.num_requests:
            return -mean_of(_log_softmax_at_targets(reading.scores(), batch))
        chosen = [
            checkpoint(_log_probabilities, model, query[start : start + step], items, rows, use_reentrant=False)
            for start in range(0, batch.num_requests, step)
            if len((rows := batch.rows(start, min(start + step, batch.num_requests))).target_items)
        ]
        return -mean_of(torch.cat(chosen)) if chosen else query.sum() * 0.0

    def _linear(self, scores: LinearScores, batch: SequenceBatch) -> Tensor:
        self._to(scores.query.device)
        if bool((batch.candidates_until_s > self._first_seen[-1]).all()):
            targets = Targets(batch.target_request, batch.target_items)
            return linear_cross_entropy(scores.query, scores.vectors, scores.bias, targets)
        available = torch.searchsorted(self._first_seen, batch.candidates_until_s)
        targets = Targets(batch.target_request, self._place[batch.target_items], available)
        vectors, bias = (table.index_select(0, self._order) for table in (scores.vectors, scores.bias))
        return linear_cross_entropy(scores.query, vectors, bias, targets)

    def _to(self, device: torch.device) -> None:
        if self._first_seen.device != device:
            self._first_seen, self._order, self._place = (
                t.to(device) for t in (self._first_seen, self._order, self._place)
            )


def _log_probabilities(model: SeasonalRecommender, query: Tensor, items: ScoredItems, batch: SequenceBatch) -> Tensor:
    return _log_softmax_at_targets(model.mask_unavailable(model.score(query, items, batch).float(), batch), batch)


def _log_softmax_at_targets(scores: Tensor, batch: SequenceBatch) -> Tensor:
    """Returns ``(M,)`` log probabilities of the targets, from the logits ``(N, V)``."""
    return torch.log_softmax(scores, dim=1)[batch.target_request, batch.target_items]
