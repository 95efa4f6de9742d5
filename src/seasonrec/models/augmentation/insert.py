"""Insertion of similar items into event sequences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.data.log import EventLog
from seasonrec.models.augmentation.base import num_events, shortest_history, uniform, without_oldest
from seasonrec.models.augmentation.neighbours import By, neighbours
from seasonrec.ranges import Length, Share, ranged


@ranged("augmentation")
class Insert:
    """Insertion of a neighbour after some events, at the time and in the behaviour of the event that it follows.

    The positions of requests shift accordingly. A window that grows beyond ``max_seq_len`` loses its oldest events. If
    a request would lose all of its events, only the latest insertions are made. Only items that were already sold at
    that time are inserted.

    Args:
        rate: Probability that an event is followed by a new one.
        by: ``"baskets"``: items bought together before the validation cut; ``"text"``: items with similar texts.
        num_neighbours: Number of neighbours of an item; one of them is drawn uniformly.
        reader: Language model of ``by="text"``, see :func:`~seasonrec.models.language.pretrained.resolve`.

    Raises:
        ValueError: If a number is out of range, or the data lacks what ``by`` needs.

    References:
        Liu et al., Contrastive Self-supervised Sequential Recommendation with Robust Augmentation (CoSeRec),
        arXiv:2108.06479, 2021, insert. They insert the most correlated item, by users' whole sequences or learned
        vectors, without times. Here one of the nearest items is drawn, and it must be on sale at that time.
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
        owner = "augmentation=insert"
        self.rate = rate
        self.neighbours = neighbours(by, num_neighbours, reader, owner, facts, log)
        self.num_items = facts.spec.num_items
        self.max_seq_len = facts.max_seq_len

    def __call__(self, batch: SequenceBatch, random: np.random.Generator) -> SequenceBatch:
        followed = (uniform(random, batch.item_ids) < self.rate) & ~batch.is_padding
        new = self.neighbours.draw(batch.item_ids, batch.timestamps_s, random)
        followed &= new < self.num_items
        room = self.max_seq_len - num_events(batch) + (shortest_history(batch) - 1).clamp(min=0)
        later = followed.flip(1).cumsum(1).flip(1)  # insertions from here on
        followed &= later <= room[:, None]
        grown = _with_insertions(batch, followed, new, self.num_items)
        too_many = (num_events(grown) - self.max_seq_len).clamp(min=0)
        return without_oldest(grown, too_many, self.num_items)


def _with_insertions(batch: SequenceBatch, followed: Tensor, new: Tensor, num_items: int) -> SequenceBatch:
    """Returns windows ``(B, T + largest number of insertions)`` with ``new`` after each event of ``followed``."""
    made = followed.cumsum(1)  # (B, T), including the insertion after this event
    width = batch.item_ids.shape[1] + int(made[:, -1].max())
    place = torch.arange(batch.item_ids.shape[1], device=made.device) + made - followed.to(made.dtype)
    rows, columns = followed.nonzero(as_tuple=True)

    def spread(values: Tensor, inserted: Tensor, empty: int | bool) -> Tensor:
        wide = values.new_full((len(values), width), empty).scatter(1, place, values)
        wide[rows, place[rows, columns] + 1] = inserted[rows, columns]
        return wide

    before = torch.cat([made.new_zeros(len(made), 1), made], dim=1)  # (B, T + 1), insertions before each position
    return replace(
        batch,
        item_ids=spread(batch.item_ids, new, num_items),
        timestamps_s=spread(batch.timestamps_s, batch.timestamps_s, 0),
        is_padding=spread(batch.is_padding, batch.is_padding, True),
        behaviours=batch.told(lambda told: spread(told, told, 0)),
        request_position=batch.request_position + before[batch.request_window, batch.request_position],
    )
