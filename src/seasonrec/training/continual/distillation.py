"""Distillation: new weights stay near the probabilities of the earlier ones."""

from __future__ import annotations

import torch
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.models.recommender import Reading, SeasonalRecommender
from seasonrec.training.loss.base import Loss


def distillation(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Returns ``T^2 KL(softmax(teacher / T) || softmax(student / T))``, a mean over requests.

    ``T^2`` keeps the size of the gradient where the temperature changes.

    Args:
        student: ``(N, C)`` logits; ``-inf`` for items that are no candidates.
        teacher: ``(N, C)`` logits, ``-inf`` at the same places.
        temperature: ``T``, above 0.

    References:
        Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015; Li and Hoiem, Learning without
        Forgetting, ECCV 2016.
    """
    log_student, log_teacher = (torch.log_softmax(logits / temperature, dim=1) for logits in (student, teacher))
    is_candidate = teacher > float("-inf")
    ratio = torch.where(is_candidate, log_teacher, 0.0) - torch.where(is_candidate, log_student, 0.0)
    return temperature**2 * (log_teacher.exp() * ratio).sum(1).mean()


class DistilledLoss:
    """A loss with ``weight`` times the distillation from a teacher, on the requests of the batch.

    Args:
        loss: Loss of the new requests.
        teacher: Recommender with the earlier weights, which stay as they are.
        weight: Weight of the distillation.
        temperature: Temperature of both.
    """

    def __init__(self, loss: Loss, teacher: SeasonalRecommender, weight: float, temperature: float) -> None:
        self.loss, self.sampler, self.gives_probabilities = loss, loss.sampler, loss.gives_probabilities
        self.teacher = teacher.eval().requires_grad_(False)
        self.weight, self.temperature = weight, temperature

    def __call__(self, model: SeasonalRecommender, batch: SequenceBatch, reading: Reading | None = None) -> Tensor:
        reading = reading or model.read(batch)
        with torch.no_grad():
            taught = self.teacher.to(batch.item_ids.device).read(batch).scores()
        return self.loss(model, batch, reading) + self.weight * distillation(reading.scores(), taught, self.temperature)
