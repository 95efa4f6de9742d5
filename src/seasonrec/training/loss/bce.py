"""Binary cross-entropy of the target against sampled negatives."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.models.recommender import Reading, SeasonalRecommender
from seasonrec.models.task.candidates import mean_of
from seasonrec.ranges import Batch, Weight, ranged
from seasonrec.training.loss.sampled import log_drawn, sampled_logits, sampler_of


@ranged("loss")
class BCE:
    """Binary cross-entropy of target and negatives; the target and the mean over the negatives have equal weights.

    Without features, an item with the share ``p`` of the targets and ``r`` of the drawn negatives has the probability
    ``p / (p + r)`` of being a target. The head's bias starts at the logit of this, ``log(p / r)``; with uniform draws
    ``r`` is ``1 / V``. From the log share, at which every score says "no target", the loss ends as plain popularity.

    Args:
        num_negatives: Draws per batch.
        popularity_power: Items are drawn by ``(events before the validation cut + 1) ** popularity_power``.

    References:
        Kang and McAuley, Self-Attentive Sequential Recommendation, ICDM 2018, equation 11. Departure: the requests of
        a batch share their negatives, so that there can be many.
    """

    gives_probabilities = False

    def __init__(self, num_negatives: Batch = 256, popularity_power: Weight = 0.0, *, facts: Facts) -> None:
        self.sampler = sampler_of(num_negatives, popularity_power, facts)

    def starting_bias(self, log_share: Tensor) -> Tensor:
        return log_share - torch.log_softmax(log_drawn(self.sampler), 0).to(log_share)

    def __call__(self, model: SeasonalRecommender, batch: SequenceBatch, reading: Reading | None = None) -> Tensor:
        logits = sampled_logits(model, batch, reading)
        against = (F.softplus(logits.negatives) / logits.counting).sum(1).index_select(0, batch.target_request)  # (M,)
        return mean_of(F.softplus(-logits.targets) + against)
