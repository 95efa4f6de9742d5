"""Events whose item is not told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.data.log import EventLog
from seasonrec.models.augmentation.base import check_share, uniform


class Mask:
    """Puts the number of no event, ``V``, in place of some items; the recommender reads it as a vector of zeros.

    The event keeps its place and its time: that the user came is still told, what was bought is not.

    Args:
        rate: Chance of each event.

    Raises:
        ValueError: If ``rate`` lies outside [0, 1].

    References:
        Xie et al., Contrastive Learning for Sequential Recommendation (CL4SRec), ICDE 2022, item mask. They mask an
        exact share of each sequence and learn the mask's vector; here each event is drawn by itself, so that requests
        that read different parts of one window lose equal shares.
    """

    def __init__(self, rate: float = 0.2, *, facts: Facts, log: EventLog | None) -> None:
        self.rate = check_share("augmentation=mask", "rate", rate)
        self.num_items = facts.spec.num_items

    def __call__(self, batch: SequenceBatch, random: np.random.Generator) -> SequenceBatch:
        masked = uniform(random, batch.item_ids) < self.rate  # padding is V anyway
        return replace(batch, item_ids=batch.item_ids.masked_fill(masked, self.num_items))
