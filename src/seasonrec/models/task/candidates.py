"""Scores of a task over the items that a batch is scored on, and the softmax of a set among them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.models.kernels.matmul import Linear
from seasonrec.models.scoring import ScoredItems, biased_product


class Correction(nn.Module):
    """What a task adds to the next item's scores: inner products of its own view of the query with the items, and a
    bias. All of it begins at 0.

    Args:
        facts: Facts of the data.

    Shape:
        - scores: ``(P, C)`` float32; query: ``(P, D)``; words: ``(P, D)``, added to the view; items: ``(C, D)``;
          output: ``(P, C)`` float32, ``-inf`` where ``scores`` are.
    """

    def __init__(self, facts: Facts) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(facts.spec.num_items))
        self.project = Linear(facts.embedding_dim, facts.embedding_dim, bias=False)
        nn.init.zeros_(self.project.weight)

    def forward(self, scores: Tensor, query: Tensor, items: ScoredItems, words: Tensor | None = None) -> Tensor:
        view = self.project(query) if words is None else self.project(query) + words
        return scores + biased_product(items.of(self.bias), view, items.vectors)


def targets_of(batch: SequenceBatch, width: int) -> Tensor:
    """``(N, C)`` bool: which of the scored items each request's basket holds."""
    column = batch.target_items if batch.sample is None else batch.sample.target_column
    truth = torch.zeros(batch.num_requests, width, dtype=torch.bool, device=column.device)
    truth[batch.target_request, column] = True
    return truth


def set_cross_entropy(scores: Tensor, truth: Tensor, batch: SequenceBatch) -> Tensor:
    """The mean negative log probability of each set's members among the candidates.

    Where the batch has a sample, the others are its drawn negatives, corrected by how likely they were to be drawn: the
    sum over them then estimates the sum over all candidates.

    Args:
        scores: ``(P, C)`` logits, ``-inf`` where an item is no candidate.
        truth: ``(P, C)`` bool, at least one in each row.
        batch: Whose items are scored.

    Returns:
        ``(P,)``: every set weighs alike, whatever its size.
    """
    share = truth / truth.sum(1, keepdim=True)
    return log_partition(scores, truth, batch) - (share * scores.masked_fill(~truth, 0.0)).sum(1)


def log_partition(scores: Tensor, truth: Tensor, batch: SequenceBatch) -> Tensor:
    """``(P,)`` logarithm of the sum of the exponentials of all candidates' scores.

    Where the batch has a sample, it is estimated: each of ``truth`` stands for itself, and a drawn negative for as many
    others as it was unlikely to be drawn.

    Args:
        scores: ``(P, C)`` logits, ``-inf`` where an item is no candidate.
        truth: ``(P, C)`` bool.
        batch: Whose items are scored.
    """
    if batch.sample is not None:
        drawn = torch.zeros_like(truth[0])
        drawn[batch.sample.negative_columns] = True
        scores = torch.where(truth, scores, scores - batch.sample.log_expected)
        scores = scores.masked_fill(~(truth | drawn), float("-inf"))
    return torch.logsumexp(scores, dim=1)


def mean_of(losses: Tensor) -> Tensor:
    """The mean, and 0 with a gradient where there is nothing."""
    return losses.sum() / max(1, losses.numel())
