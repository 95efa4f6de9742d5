"""The oracle: a scorer that gives the true probabilities of a generated log."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.requests import Requests
from seasonrec.data.calendar import EPOCH, local_days
from seasonrec.data.log import EventLog
from seasonrec.data.synthetic_truth import SyntheticTruth
from seasonrec.evaluation.counterfactual.dates import WrongDate
from seasonrec.evaluation.known_truth.kinds import ORACLE, item_kinds

UNLIKELY = 1e-20
"""Probability that an item gets in place of 0, because scores are finite."""


@dataclass(frozen=True)
class Oracle:
    """Scorer that knows how the events were generated, and nothing of the future.

    No scorer has fewer expected bits. A wrong season moves time of year and holidays, a wrong trend the promotions;
    births, deaths and habits stay right.

    Args:
        truth: Parameters that generated the events.
        log: The prepared log.
        wrong: The date that the oracle is told instead of the right one; None for the right one.
        name: Row of the table.
        chosen: Nothing: the oracle is not fitted.
    """

    truth: SyntheticTruth
    log: EventLog
    wrong: WrongDate | None = None
    name: str = ORACLE
    chosen: dict[str, object] = field(default_factory=dict)

    def score(self, requests: Requests) -> Tensor:
        """Returns ``(N, V)`` log probabilities."""
        return torch.from_numpy(np.log(np.maximum(self.probabilities(requests), UNLIKELY)))

    def probabilities(self, requests: Requests) -> NDArray[np.float64]:
        """Returns ``(N, V)`` probabilities that a target is each item; rows sum to 1."""
        users, days = self._users[requests.users], self._days(requests)
        earlier = days - (self.wrong.days if self.wrong else 0)
        kind = self.wrong.kind if self.wrong else ""
        season = earlier if kind in ("season", "both") else days
        trend = earlier if kind in ("trend", "both") else days
        return self.truth.basket_shares(self.truth.chances(users, days, season, trend))[:, self._items]

    def _days(self, requests: Requests) -> NDArray[np.int64]:
        """Returns ``(N,)`` days of the requests, counted from the first day of the log."""
        first_day = (self.truth.first_date - EPOCH).days
        return local_days(requests.times_s, self.log.timezone) - first_day

    def kinds(self, requests: Requests) -> NDArray[np.int8]:
        """Returns ``(N, V)`` kinds of the items, see :func:`~seasonrec.evaluation.known_truth.kinds.item_kinds`."""
        return item_kinds(self.truth, self._users[requests.users], self._days(requests))[:, self._items]

    @cached_property
    def _items(self) -> NDArray[np.int64]:
        """``(V,)`` number in the truth of each item of the log."""
        return _numbers(self.log.items["item_id"].to_list())

    @cached_property
    def _users(self) -> NDArray[np.int64]:
        return _numbers(self.log.users["user_id"].to_list())


def _numbers(names: list[str]) -> NDArray[np.int64]:
    """Returns the numbers of names such as ``item_00007``."""
    return np.array([int(name.rpartition("_")[2]) for name in names], dtype=np.int64)
