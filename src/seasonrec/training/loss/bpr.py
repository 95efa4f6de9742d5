"""Bayesian personalised ranking of the target above sampled negatives."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.models.recommender import Reading, SeasonalRecommender
from seasonrec.models.task.candidates import mean_of
from seasonrec.ranges import Batch, Weight, ranged
from seasonrec.training.loss.sampled import log_drawn, sampled_logits, sampler_of


@ranged("loss")
class BPR:
    """Negative log probability that the target ranks above a negative; a mean over its negatives, then over targets.

    Only differences of scores count. Without features, the loss is least if two items differ by the difference of their
    ``log(p / r)``, with ``p`` an item's share of the targets and ``r`` of the drawn negatives. The head's bias starts
    there. With uniform draws this is the log share.

    Args:
        num_negatives: Draws per batch.
        popularity_power: Items are drawn by ``(events before the validation cut + 1) ** popularity_power``.

    References:
        Rendle et al., BPR: Bayesian Personalized Ranking from Implicit Feedback, UAI 2009. Departure: the requests of
        a batch share their negatives.
    """

    gives_probabilities = False

    def __init__(self, num_negatives: Batch = 256, popularity_power: Weight = 0.0, *, facts: Facts) -> None:
        self.sampler = sampler_of(num_negatives, popularity_power, facts)

    def starting_bias(self, log_share: Tensor) -> Tensor:
        drawn = log_drawn(self.sampler)
        return log_share - (drawn - drawn.exp().mean().log()).to(log_share)

    def __call__(self, model: SeasonalRecommender, batch: SequenceBatch, reading: Reading | None = None) -> Tensor:
        logits = sampled_logits(model, batch, reading)
        ahead = logits.targets[:, None] - logits.negatives.index_select(0, batch.target_request)  # (M, S)
        return mean_of(F.softplus(-ahead).sum(1) / logits.counting.squeeze(1)[batch.target_request])
