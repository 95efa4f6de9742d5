"""Softmax over a sample of the catalogue, corrected for the sampling probabilities."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.models.recommender import Reading, SeasonalRecommender
from seasonrec.models.task.candidates import log_partition, mean_of, targets_of
from seasonrec.ranges import Batch, Weight, ranged
from seasonrec.training.loss.sampled import sample_of, sampler_of


@ranged("loss")
class SampledSoftmax:
    """Cross-entropy of each target against negatives that the batch shares, with the logQ correction.

    A negative's logit is reduced by the logarithm of its inclusion probability, so that the sum over targets and
    negatives is an unbiased estimate of the full softmax's sum. The targets are always in the sample, so their logits
    are not corrected.

    Args:
        num_negatives: Draws per batch.
        popularity_power: Items are drawn by ``(events before the validation cut + 1) ** popularity_power``.

    References:
        Bengio and Senécal, Adaptive Importance Sampling to Accelerate Training of a Neural Probabilistic Language
        Model, IEEE TNN 2008; Yi et al., Sampling-Bias-Corrected Neural Modeling for Large Corpus Item
        Recommendations, RecSys 2019; Khrylchenko et al., Correcting the LogQ Correction, RecSys 2025 (the target is
        not corrected).
    """

    gives_probabilities = True

    def __init__(self, num_negatives: Batch = 1024, popularity_power: Weight = 0.75, *, facts: Facts) -> None:
        self.sampler = sampler_of(num_negatives, popularity_power, facts)

    def __call__(self, model: SeasonalRecommender, batch: SequenceBatch, reading: Reading | None = None) -> Tensor:
        sample = sample_of(batch)
        reading = reading or model.read(batch)
        scores = reading.scores()
        total = log_partition(scores, targets_of(batch, scores.shape[1]), batch)  # (N,)
        own = scores[batch.target_request, sample.target_column]  # (M,)
        return mean_of(F.embedding(batch.target_request, total[:, None]).squeeze(1) - own)
