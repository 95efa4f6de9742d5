"""Reordering of events within baskets and short periods."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.data.calendar import local_days
from seasonrec.data.log import EventLog
from seasonrec.models.augmentation.base import uniform
from seasonrec.ranges import CountOrZero, Share, ranged


@ranged("augmentation")
class Reorder:
    """Shuffle of the items of a basket, or of all events within a short time, among the times of these events.

    An item keeps its behaviour.

    The times do not change. No item moves across a request's position or to another local day. A group keeps its order
    if the shuffle would move an item to a time before its first sale.

    Args:
        rate: Probability that a group of events is shuffled.
        window_s: Maximum seconds between the first and the last event of a group; 0 shuffles only baskets.

    Raises:
        ValueError: If ``rate`` is outside [0, 1] or ``window_s`` is below 0.

    References:
        Xie et al., Contrastive Learning for Sequential Recommendation (CL4SRec), ICDE 2022, item reorder. They shuffle
        a stretch of any length, which over weeks would move items to another season.
    """

    def __init__(self, rate: Share = 1.0, window_s: CountOrZero = 0, *, facts: Facts, log: EventLog | None) -> None:
        self.rate = rate
        self.window_s = window_s
        self.timezone = facts.spec.timezone
        never = torch.iinfo(torch.int64).min  # padding is available at all times
        self.first_seen_s = torch.cat([facts.item_first_seen_s, torch.tensor([never])])

    def __call__(self, batch: SequenceBatch, random: np.random.Generator) -> SequenceBatch:
        group = self._groups(batch, random)  # (B, T)
        rows = torch.arange(len(group), device=group.device)[:, None]
        chosen = (uniform(random, group) < self.rate)[rows, group]
        place = torch.arange(group.shape[1], dtype=torch.float64, device=group.device)
        within = torch.where(chosen, uniform(random, group), place / group.shape[1])
        order = (group + within).argsort(1)
        item_ids = batch.item_ids.gather(1, order)
        unavailable = self.first_seen_s.to(item_ids.device)[item_ids] > batch.timestamps_s
        too_early = torch.zeros_like(unavailable).scatter_reduce(1, group, unavailable, "amax").gather(1, group)
        kept = too_early | batch.is_padding
        behaviours = batch.told(lambda told: torch.where(kept, told, told.gather(1, order)))
        return replace(batch, item_ids=torch.where(kept, batch.item_ids, item_ids), behaviours=behaviours)

    def _groups(self, batch: SequenceBatch, random: np.random.Generator) -> Tensor:
        """Returns the group ``(B, T)`` of each event as a number from 0; padding is a separate group.

        Time is divided into equal intervals with a random offset per window; the events of one interval are a group.
        """
        times_s = batch.timestamps_s
        begin = uniform(random, times_s[:, :1]).mul(self.window_s + 1).floor().to(torch.int64)
        piece = (times_s + begin).div(self.window_s + 1, rounding_mode="floor")
        starts = batch.is_padding.new_zeros(len(times_s), times_s.shape[1] + 1)
        starts[batch.request_window, batch.request_position] = True
        days = [self._days(times_s)] if self.window_s else []  # a basket has a single time
        for mark in (piece, batch.is_padding, *days):
            starts[:, 1:-1] |= mark[:, 1:] != mark[:, :-1]
        starts[:, 0] = False
        return starts[:, :-1].cumsum(1)

    def _days(self, times_s: Tensor) -> Tensor:
        days = local_days(times_s.flatten().cpu().numpy(), self.timezone)
        return torch.from_numpy(days).to(times_s.device).view_as(times_s)
