"""How far hindsight gets: ``python -m benchmarks.hindsight``.

A counter of the user's own baskets and of all sales is asked twice on the test part of the first study. In *past* it
reads what lies before the request, as every baseline does. In *hindsight* it also reads what lies after: the user's
later baskets, with the same decay on both sides, and the sales of the days around the request. Only the basket that is
asked for is left out. Weights are fitted on the validation part, each with its own kind of knowledge.

The gain of hindsight over the past says how much a better guess of this user and this week could add to such a counter.
It is no bound for other forms of models, and leans on the future, so that it is no row of a table.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.requests import Requests, gather_ranges
from seasonrec.config import compose
from seasonrec.data.calendar import local_days
from seasonrec.data.log import EventLog
from seasonrec.data.spec import SECONDS_PER_DAY
from seasonrec.evaluation.baselines.mixture import fit_mixture
from seasonrec.evaluation.ranking.evaluator import quick_metrics
from seasonrec.runs.opening import open_data

Floats = NDArray[np.float64]

HALF_LIVES_DAYS = (7.0, 28.0, 112.0)
HALF_WINDOWS_DAYS = (1, 4, 15)
"""Days before the request's day, and in hindsight this day and as many days less one after it."""

AT_ONCE = 256
FIT_EVERY = 4


class Knowledge:
    """Own purchases and sales around a request, without its own basket.

    Args:
        log: The prepared log.
        hindsight: Whether events after the request are read, too.
    """

    def __init__(self, log: EventLog, hindsight: bool) -> None:
        self.log, self.hindsight = log, hindsight
        self.offsets = np.asarray(log.basket_offsets)
        self.items = np.asarray(log.event_items).astype(np.int64)
        self.times_s = np.repeat(np.asarray(log.basket_times_s), np.diff(self.offsets))
        days = local_days(self.times_s, log.timezone)
        self.first_day = int(days.min())
        self.sold = np.zeros((int(days.max()) - self.first_day + 2, log.num_items))
        np.add.at(self.sold, (days - self.first_day + 1, self.items), 1.0)
        self.sold = self.sold.cumsum(0)  # row d has the sales before day d

    def __call__(self, requests: Requests) -> list[Floats]:
        """Returns shares ``(N, V)``: the user's own by half-life, those of all users by window, and equal ones."""
        owner, basket = self._own_baskets(requests)
        place, event = gather_ranges(self.offsets[basket], self.offsets[basket + 1])
        request = owner[place]
        age_days = np.abs(requests.times_s[request] - self.times_s[event]) / SECONDS_PER_DAY
        parts = []
        for half_life_days in HALF_LIVES_DAYS:
            weights = np.zeros((len(requests), self.log.num_items))
            np.add.at(weights, (request, self.items[event]), 0.5 ** (age_days / half_life_days))
            parts.append(_share(weights))
        parts += [_share(self._sales(requests, days)) for days in HALF_WINDOWS_DAYS]
        return [*parts, np.full_like(parts[0], 1.0 / self.log.num_items)]

    def targets(self, requests: Requests) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns request and item of each target, both ``(M,)``."""
        request, event = gather_ranges(self.offsets[requests.baskets], self.offsets[requests.baskets + 1])
        return request, self.items[event]

    def _own_baskets(self, requests: Requests) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        bounds = np.asarray(self.log.user_baskets)
        stop = bounds[requests.users + 1] if self.hindsight else requests.baskets
        owner, basket = gather_ranges(bounds[requests.users], stop)
        other = basket != requests.baskets[owner]
        return owner[other], basket[other]

    def _sales(self, requests: Requests, days: int) -> Floats:
        day = local_days(requests.times_s, self.log.timezone) - self.first_day
        stop = np.minimum(day + days, len(self.sold) - 1) if self.hindsight else day
        sales: Floats = self.sold[stop] - self.sold[np.maximum(day - days, 0)]
        if self.hindsight:
            np.add.at(sales, self.targets(requests), -1.0)
        return sales


@dataclass(frozen=True)
class Hindsight:
    """Mixture of the shares of a kind of knowledge, as a scorer."""

    name: str
    knows: Knowledge
    weights: Tensor

    def score(self, requests: Requests) -> Tensor:
        """Returns ``(N, V)`` log probabilities."""
        mixed = sum(weight * part for weight, part in zip(self.weights.tolist(), self.knows(requests), strict=True))
        return torch.from_numpy(np.asarray(mixed)).clamp(min=1e-12).log().float()


def fitted(name: str, knows: Knowledge, baskets: NDArray[np.int64]) -> Hindsight:
    """Returns the mixture with the weights of maximum likelihood on some baskets."""
    pieces = []
    for start in range(0, len(baskets), AT_ONCE):
        requests = Requests.of_baskets(knows.log, baskets[start : start + AT_ONCE])
        pieces.append(np.stack([part[knows.targets(requests)] for part in knows(requests)], axis=1))
    at_targets = torch.from_numpy(np.concatenate(pieces))
    return Hindsight(name, knows, fit_mixture(at_targets, torch.ones_like(at_targets, dtype=torch.bool)))


def _share(values: Floats) -> Floats:
    return values / np.maximum(values.sum(1, keepdims=True), 1e-12)


def main(overrides: list[str]) -> None:
    """Prints NDCG@10 and bits of both kinds of knowledge on the test part."""
    data = open_data(compose(["experiment=first_season", *overrides]))
    validation, test = data.split.validation_baskets(data.log), data.split.test_baskets(data.log)
    for name, hindsight in (("past", False), ("hindsight", True)):
        scorer = fitted(name, Knowledge(data.log, hindsight), validation[::FIT_EVERY])
        requests = Requests.of_baskets(data.log, test, data.horizon)
        found = quick_metrics(scorer, data.log, requests, data.protocol)
        print(f"{name:<10} ndcg@10 {found['ndcg@10']:.4f}  bits {found['bits']:.3f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
