"""Partitions of the candidates into two sides, fixed by what is known before a request."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from seasonrec.batches.requests import Requests, gather_ranges
from seasonrec.data.log import EventLog
from seasonrec.data.spec import SECONDS_PER_DAY
from seasonrec.evaluation.groups.hot import YOUNG_DAYS, HotItems
from seasonrec.evaluation.protocol import Protocol


class Partitions:
    """Sides of all items for requests, read from events before ``known_until_s`` alone.

    *Own* items were bought by the user before. *Hot* items are those of :class:`HotItems`. *Young* items were first
    available less than 28 days ago, or are not available yet. *Sold* items were sold to anybody. The names of the sides
    are in :data:`~seasonrec.evaluation.groups.columns.SIDES`.

    Args:
        log: The prepared log.
        protocol: Options of the hot items.
    """

    def __init__(self, log: EventLog, protocol: Protocol) -> None:
        self.log = log
        self.hot = HotItems(log, protocol)
        self.first_seen_s = torch.from_numpy(np.array(log.item_first_seen_s))

    def __call__(self, requests: Requests) -> dict[str, Tensor]:
        """Returns ``(N, V)`` bool by partition: True on its first side."""
        known_until_s = torch.from_numpy(requests.known_until_s)[:, None]  # (N, 1)
        return {
            "own": self._own(requests),
            "hot": self.hot(requests),
            "young": self.first_seen_s > known_until_s - YOUNG_DAYS * SECONDS_PER_DAY,
            "sold": self.first_seen_s < known_until_s,
        }

    def _own(self, requests: Requests) -> Tensor:
        log = self.log
        before = log.baskets_before(requests.users, requests.known_until_s)
        starts = np.asarray(log.user_offsets)[requests.users]
        request, event = gather_ranges(starts, np.asarray(log.basket_offsets)[before])
        own = np.zeros((len(requests), log.num_items), dtype=np.bool_)
        own[request, np.asarray(log.event_items)[event]] = True
        return torch.from_numpy(own)
