"""Logits of targets and sampled negatives, for the losses over a sample of the catalogue."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.batches.sampling import ItemSample, NegativeSampler
from seasonrec.errors import UserError
from seasonrec.models.recommender import Reading, SeasonalRecommender

RULED_OUT = -1e9
"""Logit of a negative without effect; it is finite, so that a request without negatives has a gradient of zero."""


class SampledLogits(NamedTuple):
    """Logits of one batch; ``N`` requests, ``M`` targets, ``S`` negatives.

    Args:
        targets: ``(M,)`` float32.
        negatives: ``(N, S)`` float32; ``RULED_OUT`` where the item is one of the request's own targets, or did not
            exist at the request.
    """

    targets: Tensor
    negatives: Tensor

    @property
    def counting(self) -> Tensor:
        """Number of negatives of each request that are not ruled out, ``(N, 1)``, at least 1."""
        return (self.negatives > RULED_OUT).sum(1, keepdim=True).clamp(min=1)


def sampler_of(num_negatives: int, popularity_power: float, facts: Facts) -> NegativeSampler:
    """Returns a sampler that draws items by their events before the validation cut.

    Raises:
        ValueError: If there are fewer than 2 items.
    """
    num_items = facts.spec.num_items
    if num_items < 2:
        raise UserError(f"a sampled loss needs at least 2 items, got {num_items}; use loss=full_softmax.")
    return NegativeSampler.of(facts.item_train_counts.numpy(), num_negatives, popularity_power)


def log_drawn(sampler: NegativeSampler) -> Tensor:
    """Returns the logarithm of the probability that a batch's sample has each item, ``(V,)`` float32."""
    return torch.from_numpy(sampler.log_expected(np.arange(len(sampler.cumulative)))).float()


def sample_of(batch: SequenceBatch) -> ItemSample:
    """Returns the sample of items on which a batch is scored.

    Raises:
        ValueError: If there is none.
    """
    if batch.sample is None:
        raise UserError(
            "a sampled loss needs a batch with a sample, got one without; give the loader the loss's sampler."
        )
    return batch.sample


def sampled_logits(model: SeasonalRecommender, batch: SequenceBatch, reading: Reading | None = None) -> SampledLogits:
    """Scores a batch on its sample.

    Args:
        model: The recommender.
        batch: Its requests and targets.
        reading: Result of ``model.read(batch)``, if the caller has it.

    Raises:
        ValueError: If the batch has no sample.
    """
    sample = sample_of(batch)
    reading = reading or model.read(batch)
    scores = reading.scores()  # (N, C)
    negatives = scores.index_select(1, sample.negative_columns)  # (N, S)
    ruled_out = _own_targets(batch, sample, negatives) | (negatives == float("-inf"))
    targets = scores[batch.target_request, sample.target_column]
    return SampledLogits(targets, negatives.masked_fill(ruled_out, RULED_OUT))


def _own_targets(batch: SequenceBatch, sample: ItemSample, negatives: Tensor) -> Tensor:
    """Returns ``(N, S)`` bool: whether a negative is a target of the request."""
    place = torch.searchsorted(sample.negative_columns, sample.target_column).clamp(max=negatives.shape[1] - 1)
    drawn = sample.negative_columns[place] == sample.target_column
    own = torch.zeros_like(negatives, dtype=torch.bool)
    own[batch.target_request[drawn], place[drawn]] = True
    return own
