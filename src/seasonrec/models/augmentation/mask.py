"""Masking of items in event sequences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.data.log import EventLog
from seasonrec.models.augmentation.base import uniform
from seasonrec.ranges import Share, ranged


@ranged("augmentation")
class Mask:
    """Replacement of some items by the padding item ``V``, which the recommender reads as a vector of zeros.

    The event keeps its position and time: the visit stays visible, and the item is hidden.

    Args:
        rate: Probability that an event is masked.

    Raises:
        ValueError: If ``rate`` is outside [0, 1].

    References:
        Xie et al., Contrastive Learning for Sequential Recommendation (CL4SRec), ICDE 2022, item mask. They mask an
        exact share of each sequence and learn the mask's vector. Here events are drawn independently, so that requests
        with different histories in one window lose the same share on average.
    """

    def __init__(self, rate: Share = 0.2, *, facts: Facts, log: EventLog | None) -> None:
        self.rate = rate
        self.num_items = facts.spec.num_items

    def __call__(self, batch: SequenceBatch, random: np.random.Generator) -> SequenceBatch:
        masked = uniform(random, batch.item_ids) < self.rate  # padding already has V
        return replace(batch, item_ids=batch.item_ids.masked_fill(masked, self.num_items))
