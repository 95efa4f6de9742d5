"""The adaptation that holds the weights which earlier requests need."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from seasonrec.ranges import Count, Positive, ranged
from seasonrec.runs.adaptation.base import FineTuning, Update, UpdatePlace, fine_tuned
from seasonrec.runs.adaptation.past import batches_of_past, evenly, past_baskets
from seasonrec.runs.opening import device_of
from seasonrec.runs.run import Run
from seasonrec.training.continual.ewc import ElasticLoss, diagonal_fisher
from seasonrec.training.continual.modes import evaluating


@ranged("adaptation")
@dataclass(frozen=True)
class Ewc(FineTuning):
    """Fine-tuning of all weights with an elastic penalty around the live ones.

    The diagonal of the Fisher information is taken at the live weights, over requests that are evenly spaced in all
    that they have learned.

    Args:
        strength: Weight of the penalty; 1 counts each earlier request as much as each new one.
        requests: Earlier requests of the Fisher information.

    Raises:
        UserError: If a number is out of its range.

    References:
        Kirkpatrick et al., Overcoming Catastrophic Forgetting in Neural Networks, PNAS 2017. Departure: one penalty
        over the whole past at the live weights, in place of one for each earlier task, because the log is still there.
    """

    strength: Positive = 1.0
    requests: Count = 256

    def __call__(self, run: Run, place: UpdatePlace) -> Update:
        past = past_baskets(run, place.past)
        run.model.to(device_of(run.config))
        generator = torch.Generator().manual_seed(place.seed)
        with evaluating(run.model):
            fisher = diagonal_fisher(run.model, batches_of_past(run, evenly(past, self.requests), 1), generator)
        ratio = len(past) / max(1, len(run.data.split.train_baskets(run.data.log)))
        kept = 2 * sum(values.numel() * values.element_size() for values in fisher.values())
        return fine_tuned(
            run,
            place,
            self,
            change=lambda loss: ElasticLoss(loss, run.model, fisher, self.strength * ratio),
            kept_bytes=kept,
        )
