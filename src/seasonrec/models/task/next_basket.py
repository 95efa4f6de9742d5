"""Next-basket task: the set of items in the next basket."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.errors import UserError
from seasonrec.models.components import ContextValues
from seasonrec.models.task.base import TaskFeatures, TaskHead, TaskOutput
from seasonrec.models.task.candidates import Correction, mean_of, set_cross_entropy, targets_of


class NextBasketHead(TaskHead):
    """Scores of all candidates for the whole basket.

    Every basket has the same weight, while in the next-item task every event has. The head starts from the next item's
    scores with season and habit: baskets repeat earlier purchases, and a head that reads only the sequence loses to
    counting.

    Args:
        loss: ``softmax``: the mean negative log probability of the basket's items. ``multi_label``: the mean binary
            cross-entropy of the request's candidates.

    Raises:
        ValueError: If the loss is unknown.
    """

    kind = "ranking"

    def __init__(self, loss: Literal["softmax", "multi_label"] = "softmax", *, facts: Facts) -> None:
        super().__init__()
        if loss not in ("softmax", "multi_label"):
            raise UserError(f"task.next_basket.loss must be softmax or multi_label, got {loss!r}; try softmax.")
        self.loss = loss
        self.correction = Correction(facts)

    def forward(self, features: TaskFeatures, batch: SequenceBatch, context: ContextValues) -> TaskOutput:
        truth = targets_of(batch, len(features.items.vectors))
        asked = truth.any(1)
        start, truth = features.scores()[asked], truth[asked]
        scores = self.correction(start, features.query[asked], features.items)
        losses = (set_cross_entropy if self.loss == "softmax" else multi_label)(scores, truth, batch)
        return TaskOutput(mean_of(losses), scores.detach(), truth, start=start.detach())


def multi_label(scores: Tensor, truth: Tensor, batch: SequenceBatch) -> Tensor:
    """Returns ``(P,)``, the mean binary cross-entropy of each request's candidates.

    With a sampled catalogue, sampled negatives have weight 1 / inclusion probability.

    Args:
        scores: ``(P, C)`` logits, ``-inf`` where an item is no candidate.
        truth: ``(P, C)`` bool.
        batch: The batch that is scored.
    """
    is_candidate = scores > float("-inf")
    each = F.binary_cross_entropy_with_logits(scores.masked_fill(~is_candidate, 0.0), truth.float(), reduction="none")
    weight = is_candidate.float()
    if batch.sample is not None:
        drawn = torch.zeros_like(scores[0])
        drawn[batch.sample.negative_columns] = 1.0
        weight = weight * torch.where(truth, 1.0, drawn * torch.exp(-batch.sample.log_expected))
    return (weight * each).sum(1) / weight.sum(1).clamp(min=1.0)
