"""Partitions of the candidates into two sides, fixed by what is known before a request."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from seasonrec.batches.context.known_items import KnownItems
from seasonrec.batches.context.last_year import YEAR_DAYS
from seasonrec.batches.requests import Requests
from seasonrec.batches.splits import Part, Split
from seasonrec.data.calendar import days_earlier
from seasonrec.data.log import EventLog
from seasonrec.data.spec import SECONDS_PER_DAY
from seasonrec.evaluation.groups.columns import LAST_YEAR, SIDES, WITH
from seasonrec.evaluation.groups.hot import YOUNG_DAYS, HotItems
from seasonrec.evaluation.groups.words import items_with_words
from seasonrec.evaluation.protocol import Protocol


def reaches_last_year(log: EventLog, split: Split, part: Part) -> bool:
    """Returns whether a log begins a year before an evaluated part, so that items can be known from last year."""
    return int(np.min(log.basket_times_s)) <= split.since_s(part) - YEAR_DAYS * SECONDS_PER_DAY


class Partitions:
    """Sides of all items for requests, read from events before ``known_until_s`` alone.

    *Own* items were bought by the user before. *Hot* items are those of :class:`HotItems`. *Young* items were first
    available less than 28 days ago, or are not available yet. *Sold* items were sold to anybody. If the log begins a
    year before the evaluated part, items *known last year* were first sold more than 364 days before the request; a
    memory of last year's season by item can only speak of them. For each list of words of the protocol, the items whose
    text has one of them are a side. The names of the sides are those of
    :func:`~seasonrec.evaluation.groups.columns.sides_of`.

    Args:
        log: The prepared log.
        split: The cuts.
        protocol: Evaluated part, options of the hot items, and the lists of words.

    Raises:
        UserError: If a list of words matches no item, or every item.
    """

    def __init__(self, log: EventLog, split: Split, protocol: Protocol) -> None:
        self.log = log
        self.known_items = KnownItems(log)
        self.hot = HotItems(log, protocol)
        self.first_seen_s = torch.from_numpy(np.array(log.item_first_seen_s))
        self.has_last_year = reaches_last_year(log, split, protocol.part)
        found = items_with_words(log, protocol.words)
        self.worded = {WITH + name: torch.from_numpy(items) for name, items in found.items()}

    @property
    def names(self) -> list[str]:
        """Names of the partitions."""
        return [*SIDES, *([LAST_YEAR] if self.has_last_year else []), *self.worded]

    def __call__(self, requests: Requests) -> dict[str, Tensor]:
        """Returns ``(N, V)`` bool by partition: True on its first side."""
        known_until_s = torch.from_numpy(requests.known_until_s)[:, None]  # (N, 1)
        return {
            "own": self._own(requests),
            "hot": self.hot(requests),
            "young": self.first_seen_s > known_until_s - YOUNG_DAYS * SECONDS_PER_DAY,
            "sold": self.first_seen_s < known_until_s,
            **({LAST_YEAR: self._known_last_year(requests)} if self.has_last_year else {}),
            **{name: items.expand(len(requests), -1) for name, items in self.worded.items()},
        }

    def _known_last_year(self, requests: Requests) -> Tensor:
        year_ago_s = days_earlier(requests.times_s, YEAR_DAYS, self.log.timezone)
        until_s = torch.from_numpy(np.minimum(year_ago_s, requests.known_until_s))[:, None]  # (N, 1)
        return self.first_seen_s < until_s

    def _own(self, requests: Requests) -> Tensor:
        own = torch.zeros(len(requests), self.log.num_items, dtype=torch.bool)
        request, item = self.known_items(requests.users, requests.known_until_s)
        own[torch.from_numpy(request), torch.from_numpy(item)] = True
        return own
