"""Events in another order, where their order means nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.data.calendar import local_days
from seasonrec.data.log import EventLog
from seasonrec.errors import UserError
from seasonrec.models.augmentation.base import check_share, uniform


class Reorder:
    """Shuffles the items of a basket, or of all events within a short time, among the times of those events.

    The times stay where they are and sorted. Nothing moves across the position of a request or into another local day,
    and no item stands before its first sale: where a shuffle would put one there, its group stays as it is.

    Args:
        rate: Chance of each group of events to be shuffled.
        window_s: Seconds that lie between the first and the last event of a group at most; 0 is the basket alone.

    Raises:
        ValueError: If ``rate`` lies outside [0, 1] or ``window_s`` below 0.

    References:
        Xie et al., Contrastive Learning for Sequential Recommendation (CL4SRec), ICDE 2022, item reorder. They shuffle
        a stretch of any length; across weeks that would put items into another season.
    """

    def __init__(self, rate: float = 1.0, window_s: int = 0, *, facts: Facts, log: EventLog | None) -> None:
        self.rate = check_share("augmentation=reorder", "rate", rate)
        if window_s < 0:
            raise UserError(f"augmentation=reorder: window_s must be at least 0, got {window_s}; 0 is the basket.")
        self.window_s = window_s
        self.timezone = facts.spec.timezone
        never = torch.iinfo(torch.int64).min  # a place without an item may stand anywhere
        self.first_seen_s = torch.cat([facts.item_first_seen_s, torch.tensor([never])])

    def __call__(self, batch: SequenceBatch, random: np.random.Generator) -> SequenceBatch:
        group = self._groups(batch, random)  # (B, T)
        rows = torch.arange(len(group), device=group.device)[:, None]
        chosen = (uniform(random, group) < self.rate)[rows, group]
        place = torch.arange(group.shape[1], dtype=torch.float64, device=group.device)
        within = torch.where(chosen, uniform(random, group), place / group.shape[1])
        item_ids = batch.item_ids.gather(1, (group + within).argsort(1))
        unavailable = self.first_seen_s.to(item_ids.device)[item_ids] > batch.timestamps_s
        too_early = torch.zeros_like(unavailable).scatter_reduce(1, group, unavailable, "amax").gather(1, group)
        return replace(batch, item_ids=torch.where(too_early | batch.is_padding, batch.item_ids, item_ids))

    def _groups(self, batch: SequenceBatch, random: np.random.Generator) -> Tensor:
        """``(B, T)`` number of each event's group, from 0 and rising by one; padding is a group of its own.

        Time is cut into equal pieces that begin at a random second for each window: events of one piece are a group.
        """
        times_s = batch.timestamps_s
        begin = uniform(random, times_s[:, :1]).mul(self.window_s + 1).floor().to(torch.int64)
        piece = (times_s + begin).div(self.window_s + 1, rounding_mode="floor")
        starts = batch.is_padding.new_zeros(len(times_s), times_s.shape[1] + 1)
        starts[batch.request_window, batch.request_position] = True
        days = [self._days(times_s)] if self.window_s else []  # a basket has one time, and so one day
        for mark in (piece, batch.is_padding, *days):
            starts[:, 1:-1] |= mark[:, 1:] != mark[:, :-1]
        starts[:, 0] = False
        return starts[:, :-1].cumsum(1)

    def _days(self, times_s: Tensor) -> Tensor:
        days = local_days(times_s.flatten().cpu().numpy(), self.timezone)
        return torch.from_numpy(days).to(times_s.device).view_as(times_s)
