"""Corrections of the next item's scores, and softmax losses of sets of items."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.models.kernels.matmul import Linear, zeroed
from seasonrec.models.scoring import ScoredItems, biased_product


class Correction(nn.Module):
    """A task's own term in the next item's scores: a bilinear product of query and items plus a bias, at first 0.

    Shape:
        - scores: ``(P, C)`` float32; query: ``(P, D)``; words: ``(P, D)``, added to the projected query; items:
          ``(C, D)``; output: the corrected scores ``(P, C)`` float32, ``-inf`` where ``scores`` are.
    """

    def __init__(self, facts: Facts) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(facts.spec.num_items))
        self.project = zeroed(Linear(facts.embedding_dim, facts.embedding_dim, bias=False))

    def forward(self, scores: Tensor, query: Tensor, items: ScoredItems, words: Tensor | None = None) -> Tensor:
        view = self.project(query) if words is None else self.project(query) + words
        return scores + biased_product(items.of(self.bias), view, items.vectors)


def targets_of(batch: SequenceBatch, width: int) -> Tensor:
    """Returns ``(N, C)`` bool, True if the scored item is in the request's basket."""
    column = batch.target_items if batch.sample is None else batch.sample.target_column
    truth = torch.zeros(batch.num_requests, width, dtype=torch.bool, device=column.device)
    truth[batch.target_request, column] = True
    return truth


def set_cross_entropy(scores: Tensor, truth: Tensor, batch: SequenceBatch) -> Tensor:
    """Returns ``(P,)``, the mean negative log probability of each set's members among the candidates.

    With a sampled catalogue it is an estimate, see :func:`log_partition`.

    Args:
        scores: ``(P, C)`` logits, ``-inf`` where an item is no candidate.
        truth: ``(P, C)`` bool, True for the members; at least one in each row.
        batch: The batch that is scored.
    """
    share = truth / truth.sum(1, keepdim=True)
    return log_partition(scores, truth, batch) - (share * scores.masked_fill(~truth, 0.0)).sum(1)


def log_partition(scores: Tensor, truth: Tensor, batch: SequenceBatch) -> Tensor:
    """Returns ``(P,)``, the log of the sum of exponentials of all candidates' scores.

    With a sampled catalogue it is an estimate: items in ``truth`` have weight 1 and sampled negatives have weight
    1 / inclusion probability.

    Args:
        scores: ``(P, C)`` logits, ``-inf`` where an item is no candidate.
        truth: ``(P, C)`` bool.
        batch: The batch that is scored.
    """
    if batch.sample is not None:
        drawn = torch.zeros_like(truth[0])
        drawn[batch.sample.negative_columns] = True
        scores = torch.where(truth, scores, scores - batch.sample.log_expected)
        scores = scores.masked_fill(~(truth | drawn), float("-inf"))
    return torch.logsumexp(scores, dim=1)


def mean_of(losses: Tensor) -> Tensor:
    """Returns the mean; 0 with a gradient if there are no losses."""
    return losses.sum() / max(1, losses.numel())
