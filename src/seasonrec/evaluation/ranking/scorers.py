"""A trained recommender as a scorer of the evaluator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.loader import BatchBuilder
from seasonrec.batches.requests import Requests
from seasonrec.evaluation import metrics
from seasonrec.evaluation.ranking.ranks import rank_targets
from seasonrec.models.recommender import SeasonalRecommender


@dataclass(frozen=True)
class ModelScorer:
    """Scores of a model, which is set to evaluation mode, with a full history for each request."""

    name: str
    model: SeasonalRecommender
    builder: BatchBuilder

    def score(self, requests: Requests) -> Tensor:
        """Returns ``(N, V)`` logits of all items, on the model's device."""
        self.model.eval()
        device = next(self.model.parameters()).device
        with torch.no_grad():
            scores: Tensor = self.model(self.builder(requests).to(device))
        return scores.float()

    @contextmanager
    def during_pass(self) -> Iterator[None]:
        """Keeps the vectors of all items between calls of :meth:`score`; the weights must stay the same."""
        self.model.eval()  # before the items are encoded: their encoder may have dropout
        with self.model.frozen_items():
            yield


def validation_metrics(scores: Tensor, batch: SequenceBatch) -> dict[str, Tensor]:
    """Returns ``bits`` of every target of a batch, and ``ndcg@10`` of every item of its baskets, for early stopping.

    Items of a basket that are no candidates are left out of the batch's targets; their ``ndcg@10`` is 0.

    Args:
        scores: ``(N, V)`` logits, ``-inf`` where an item is no candidate.
        batch: The batch with its targets.
    """
    greater, ties, bits = rank_targets(scores, batch.target_request, batch.target_items)
    gains = torch.from_numpy(metrics.ndcg(greater.cpu().numpy(), ties.cpu().numpy(), 10)).to(bits)
    return {"bits": bits, "ndcg@10": torch.cat([gains, gains.new_zeros(int(batch.unavailable.sum()))])}
