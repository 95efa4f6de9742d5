"""Items of occasions: what the user's own calendar lists for the day of a request, as known at the request."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.context.base import DayTables
from seasonrec.batches.requests import Requests
from seasonrec.data.calendar import local_days
from seasonrec.data.log import EventLog
from seasonrec.data.occasions import Occasion
from seasonrec.data.spec import DataSpec

SOON_DAYS = 7
"""Days before an occasion in which its items approach it."""


@dataclass(frozen=True)
class OccasionItems(DayTables):
    """Items of the occasions that are near; ``Q`` distinct pairs of a day and the last day whose news is known.

    Args:
        row: ``(N,)`` int64, row of each request in the ``Q`` rows.
        near: ``(Q, C, 2)`` float32 in ``[0, 1]``: 1 on the days of an occasion that lists the item; and a linear rise
            from 0 to 1 in the :data:`SOON_DAYS` days before it.
    """

    near: Tensor


@dataclass(frozen=True)
class OccasionItemsContext:
    """Options of :class:`OccasionItems`."""

    name: str = "occasion_items"

    def bind(self, log: EventLog, spec: DataSpec) -> OccasionItemsIndex:
        return OccasionItemsIndex(log)


class OccasionItemsIndex:
    """Index of :class:`OccasionItems`; it keeps one byte for each listed occurrence and item."""

    def __init__(self, log: EventLog) -> None:
        self.timezone = log.timezone
        listed = [one for one in log.occasions if one.lists_items]
        days = [(one.first_day, one.last_day, one.known_from_day) for one in listed]
        self.first, self.last, self.known_from = np.array(days, dtype=np.int64).reshape(-1, 3).T
        self.members = np.array([_members(log, one) for one in listed]).reshape(-1, log.num_items)  # (K, V)

    def __call__(self, requests: Requests, items: NDArray[np.int64] | None = None) -> OccasionItems:
        both = np.stack(
            [local_days(each, self.timezone) for each in (requests.times_s, requests.known_until_s)], axis=1
        )
        pairs, row = np.unique(both, axis=0, return_inverse=True)
        members = self.members if items is None else self.members[:, items]
        near = np.zeros((len(pairs), members.shape[1], 2), dtype=np.float32)
        for place, (day, news) in enumerate(pairs.tolist()):
            for kind, strength in enumerate(self._strengths(day, news)):
                for number in np.flatnonzero(strength):
                    np.maximum(near[place, :, kind], strength[number] * members[number], out=near[place, :, kind])
        return OccasionItems(torch.from_numpy(row.reshape(-1)), torch.from_numpy(near))

    def _strengths(self, day: int, news: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Returns how near each occurrence is, ``(K,)``: whether it takes place, and how soon it begins."""
        known = self.known_from <= news
        now = known & (self.first <= day) & (day <= self.last)
        ahead = self.first - day
        soon = np.where(known & (ahead > 0), np.maximum(0.0, 1.0 - ahead / (SOON_DAYS + 1)), 0.0)
        return now.astype(np.float32), soon.astype(np.float32)


def _members(log: EventLog, occasion: Occasion) -> NDArray[np.bool_]:
    """Returns ``(V,)`` bool: the items that an occasion lists by id or by category."""
    by_id = log.items["item_id"].is_in(list(occasion.items))
    by_category = log.items["category"].is_in(list(occasion.categories)).fill_null(False)
    return (by_id | by_category).to_numpy()
