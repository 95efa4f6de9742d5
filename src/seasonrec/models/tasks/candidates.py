"""Scores of a task over the items that a batch is scored on, and the softmax of a set among them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seasonrec.data.batch import SequenceBatch
from seasonrec.data.facts import Facts
from seasonrec.models.scoring import ScoredItems


class Candidates(nn.Module):
    """Inner products of a task's own view of the query with the items, plus a bias that begins at what sells.

    Args:
        facts: Facts of the data.

    Shape:
        - query: ``(P, D)``; items: ``(C, D)``; time_s: ``(P,)``; output: ``(P, C)``, ``-inf`` for items that are not
          seen yet at that time.
    """

    first_seen_s: Tensor

    def __init__(self, facts: Facts) -> None:
        super().__init__()
        self.project = nn.Linear(facts.embedding_dim, facts.embedding_dim, bias=False)
        nn.init.eye_(self.project.weight)
        counts = facts.item_train_counts + 1.0
        self.bias = nn.Parameter(torch.log(counts / counts.sum()))
        self.register_buffer("first_seen_s", facts.item_first_seen_s, persistent=False)

    def forward(self, query: Tensor, items: ScoredItems, time_s: Tensor) -> Tensor:
        scores = torch.addmm(items.of(self.bias), self.project(query), items.vectors.T).float()
        return scores.masked_fill(items.of(self.first_seen_s) > time_s[:, None], float("-inf"))


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
    own = scores.masked_fill(~truth, 0.0)
    if batch.sample is not None:
        drawn = torch.zeros_like(truth[0])
        drawn[batch.sample.negative_columns] = True
        scores = torch.where(truth, scores, scores - batch.sample.log_expected)
        scores = scores.masked_fill(~(truth | drawn), float("-inf"))
    return torch.logsumexp(scores, dim=1) - (share * own).sum(1)


def mean_of(losses: Tensor) -> Tensor:
    """The mean, and 0 with a gradient where there is nothing."""
    return losses.sum() / max(1, losses.numel())
