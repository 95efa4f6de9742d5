"""Generalised binary cross-entropy, which corrects the overconfidence from few negatives."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.models.recommender import Reading, SeasonalRecommender
from seasonrec.models.task.candidates import mean_of
from seasonrec.ranges import Batch, Share, ranged
from seasonrec.training.loss.sampled import log_drawn, sampled_logits, sampler_of


@ranged("loss")
class GBCE:
    """Binary cross-entropy with the target's probability raised to a power ``beta`` of at most 1.

    ``beta = alpha * (t * (1 - 1 / alpha) + 1 / alpha)``, where ``alpha`` is the sampled share of the catalogue. An item
    that is drawn twice counts once, so ``alpha = 1 - (1 - 1 / V) ** n`` for ``n`` draws of ``V`` items.

    Without features, the loss is least at the score ``log(beta * p / alpha)`` of an item with the share ``p`` of the
    targets. The head's bias starts there; with ``calibration`` 1 this is the log share.

    Args:
        num_negatives: Draws per batch, uniform over the items.
        calibration: ``t`` in [0, 1]; 0 is plain binary cross-entropy, 1 is calibrated like that over all items.

    Raises:
        ValueError: If ``calibration`` lies outside [0, 1].

    References:
        Petrov and Macdonald, gSASRec: Reducing Overconfidence in Sequential Recommendation Trained with Negative
        Sampling, RecSys 2023, equations 8 and 9. Departure: the requests of a batch share their negatives.
    """

    gives_probabilities = False

    def __init__(self, num_negatives: Batch = 256, calibration: Share = 0.75, *, facts: Facts) -> None:
        self.sampler = sampler_of(num_negatives, 0.0, facts)
        alpha = -math.expm1(num_negatives * math.log1p(-1.0 / facts.spec.num_items))
        self.beta = alpha * (calibration * (1.0 - 1.0 / alpha) + 1.0 / alpha)

    def starting_bias(self, log_share: Tensor) -> Tensor:
        return log_share + math.log(self.beta) - log_drawn(self.sampler).to(log_share)

    def __call__(self, model: SeasonalRecommender, batch: SequenceBatch, reading: Reading | None = None) -> Tensor:
        logits = sampled_logits(model, batch, reading)
        against = F.softplus(logits.negatives).sum(1).index_select(0, batch.target_request)  # (M,)
        total = self.beta * F.softplus(-logits.targets) + against
        return mean_of(total) / (1 + logits.negatives.shape[1])
