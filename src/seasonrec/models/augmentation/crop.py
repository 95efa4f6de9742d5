"""Crop of event sequences."""

from __future__ import annotations

import numpy as np
import torch

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.data.log import EventLog
from seasonrec.models.augmentation.base import shortest_history, uniform, without_oldest
from seasonrec.ranges import Share, ranged


@ranged("augmentation")
class Crop:
    """Removal of the oldest events of each window, as if the user had started later.

    One window serves several requests. The number of removed events is therefore a share of the shortest non-empty
    history among them: every request with events keeps at least its last one.

    Args:
        rate: Largest share of that history to remove; the share is drawn uniformly from ``[0, rate)``.

    Raises:
        ValueError: If ``rate`` is outside [0, 1].

    References:
        Xie et al., Contrastive Learning for Sequential Recommendation (CL4SRec), ICDE 2022, item crop. They keep a
        stretch from anywhere in the sequence. Here the latest events always stay, because they are the most
        informative about the request's time.
    """

    def __init__(self, rate: Share = 0.5, *, facts: Facts, log: EventLog | None) -> None:
        self.rate = rate
        self.num_items = facts.spec.num_items

    def __call__(self, batch: SequenceBatch, random: np.random.Generator) -> SequenceBatch:
        shortest = shortest_history(batch)
        dropped = (self.rate * uniform(random, shortest) * shortest).floor().to(torch.int64)
        return without_oldest(batch, dropped, self.num_items)
