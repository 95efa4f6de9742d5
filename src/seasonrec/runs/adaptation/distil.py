"""The adaptation that keeps the answers of the live weights."""

from __future__ import annotations

import copy
from dataclasses import dataclass

from seasonrec.ranges import Positive, ranged
from seasonrec.runs.adaptation.base import FineTuning, Update, UpdatePlace, fine_tuned
from seasonrec.runs.run import Run
from seasonrec.training.continual.distillation import DistilledLoss
from seasonrec.training.continual.ewc import trained_weights


@ranged("adaptation")
@dataclass(frozen=True)
class Distil(FineTuning):
    """Fine-tuning of all weights with a distillation from the live ones, on the requests of the newest period.

    Args:
        weight: Weight of the distillation beside the loss.
        temperature: Temperature of both probabilities.

    Raises:
        UserError: If a number is out of its range.

    References:
        Li and Hoiem, Learning without Forgetting, ECCV 2016; Hinton, Vinyals and Dean, Distilling the Knowledge in a
        Neural Network, 2015.
    """

    weight: Positive = 1.0
    temperature: Positive = 2.0

    def __call__(self, run: Run, place: UpdatePlace) -> Update:
        kept = sum(weight.numel() * weight.element_size() for weight in trained_weights(run.model).values())
        teacher = copy.deepcopy(run.model)
        return fine_tuned(
            run,
            place,
            self,
            change=lambda loss: DistilledLoss(loss, teacher, self.weight, self.temperature),
            kept_bytes=kept,
        )
