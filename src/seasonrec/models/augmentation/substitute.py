"""Substitution of items by similar ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.data.log import EventLog
from seasonrec.models.augmentation.base import uniform
from seasonrec.models.augmentation.neighbours import By, neighbours
from seasonrec.ranges import Length, Share, ranged


@ranged("augmentation")
class Substitute:
    """Replacement of some items by a neighbour that is available at the event's time.

    An event without such a neighbour is unchanged.

    Args:
        rate: Probability that an event's item is replaced.
        by: ``"baskets"``: items bought together before the validation cut; ``"text"``: items with similar texts.
        num_neighbours: Number of neighbours of an item; one of them is drawn uniformly.
        reader: Language model of ``by="text"``, see :func:`~seasonrec.models.language.pretrained.resolve`.

    Raises:
        ValueError: If a number is out of range, or the data lacks what ``by`` needs.

    References:
        Liu et al., Contrastive Self-supervised Sequential Recommendation with Robust Augmentation (CoSeRec),
        arXiv:2108.06479, 2021, substitute. They take the most correlated item, by users' whole sequences or learned
        vectors. Here one of the nearest items is drawn, and it must be on sale at that time.
    """

    def __init__(
        self,
        rate: Share = 0.1,
        by: By = "baskets",
        num_neighbours: Length = 10,
        reader: str = "minilm",
        *,
        facts: Facts,
        log: EventLog | None,
    ) -> None:
        owner = "augmentation=substitute"
        self.rate = rate
        self.neighbours = neighbours(by, num_neighbours, reader, owner, facts, log)
        self.num_items = facts.spec.num_items

    def __call__(self, batch: SequenceBatch, random: np.random.Generator) -> SequenceBatch:
        chosen = (uniform(random, batch.item_ids) < self.rate) & ~batch.is_padding
        other = self.neighbours.draw(batch.item_ids, batch.timestamps_s, random)
        chosen &= other < self.num_items
        return replace(batch, item_ids=torch.where(chosen, other, batch.item_ids))
