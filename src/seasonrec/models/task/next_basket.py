"""Next basket: which items the next basket holds, as a set."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.context.base import Context
from seasonrec.batches.facts import Facts
from seasonrec.batches.labels.base import Labels
from seasonrec.errors import UserError
from seasonrec.models.components import ContextValues
from seasonrec.models.task.base import Kind, TaskFeatures, TaskOutput
from seasonrec.models.task.candidates import Correction, mean_of, set_cross_entropy, targets_of


class NextBasketHead(nn.Module):
    """Scores all candidates for the whole basket; every basket weighs alike, where the next item weighs every event.

    It starts from the next item's scores, season and habit in them: what a basket holds is mostly what was bought
    before, and a head that knew of the sequence alone would fall behind counting.

    Args:
        loss: ``softmax``: the mean negative log probability of the basket's items. ``multi_label``: each candidate as a
            yes or no, a mean over the candidates of the request.

    Raises:
        ValueError: If the loss is not known.
    """

    kind: Kind = "ranking"
    is_series = False

    def __init__(self, loss: Literal["softmax", "multi_label"] = "softmax", *, facts: Facts) -> None:
        super().__init__()
        if loss not in ("softmax", "multi_label"):
            raise UserError(f"task.next_basket.loss must be softmax or multi_label, got {loss!r}; try softmax.")
        self.reads: tuple[Context, ...] = ()
        self.labels: tuple[Labels, ...] = ()
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
    """Binary cross-entropy of every candidate, a mean over the candidates of each request.

    Where the batch has a sample, a drawn negative stands for as many others as it was unlikely to be drawn.

    Args:
        scores: ``(P, C)`` logits, ``-inf`` where an item is no candidate.
        truth: ``(P, C)`` bool.
        batch: Whose items are scored.

    Returns:
        ``(P,)``.
    """
    is_candidate = scores > float("-inf")
    each = F.binary_cross_entropy_with_logits(scores.masked_fill(~is_candidate, 0.0), truth.float(), reduction="none")
    weight = is_candidate.float()
    if batch.sample is not None:
        drawn = torch.zeros_like(scores[0])
        drawn[batch.sample.negative_columns] = 1.0
        weight = weight * torch.where(truth, 1.0, drawn * torch.exp(-batch.sample.log_expected))
    return (weight * each).sum(1) / weight.sum(1).clamp(min=1.0)
