"""Evidence of the fitted counters: shares and lifts by day, and the user's own purchases, as known at the request."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.context.last_year import request_and_known_days, window_a_year_ago
from seasonrec.batches.context.lift import Lift
from seasonrec.batches.context.own_history import OwnHistoryIndex
from seasonrec.batches.context.rows import RowCache
from seasonrec.batches.requests import Requests
from seasonrec.evaluation.baselines.components import PopularityComponents
from seasonrec.evaluation.baselines.own_features import own_features

KEPT_BYTES = 1 << 27
"""Limit of the memory for the tables of days, in bytes."""

Days = NDArray[np.int64]
"""``(Q, 2)`` days of the request and numbers of known days."""


@dataclass(frozen=True)
class Evidence:
    """Known facts of ``N`` requests. Letters: ``Q`` days, ``V`` items, ``P`` pairs of a request and an own item.

    Args:
        row: ``(N,)`` int64, row of each request in the ``Q`` days.
        popular: ``(Q, V, R)`` probabilities of all items by day; each of the ``R`` sums to 1.
        lifts: ``(Q, V, L)`` log ratios of recent sales, or those a year ago, to all earlier ones.
        request: ``(P,)`` int64, ascending.
        item: ``(P,)`` int64, ascending within a request.
        own: ``(P, S)`` shares of the user's purchases; each of the ``S`` sums to 1 within a request.
        features: ``(P, G)`` own features, the exponents' factors.
        user_baskets: ``(N,)`` number of known baskets of the user.
    """

    row: Tensor
    popular: Tensor
    lifts: Tensor
    request: Tensor
    item: Tensor
    own: Tensor
    features: Tensor
    user_baskets: Tensor

    def pair_of(self, request: Tensor, item: Tensor) -> Tensor:
        """Returns the ``(M,)`` pair of each request and item, or -1 if the user has not bought the item."""
        num_items = self.popular.shape[1]
        keys, wanted = self.request * num_items + self.item, request * num_items + item
        place = torch.searchsorted(keys, wanted)
        if not len(keys):
            return torch.full_like(place, -1)
        found = keys[place.clamp(max=len(keys) - 1)] == wanted
        return torch.where(found, place, -1)


@dataclass(frozen=True)
class DayOptions:
    """Options of :class:`DayTables`, one setting of a counter.

    Args:
        windows_days: Look-backs of the shares; None for all earlier days.
        half_window_days: Days on each side of the day a year ago, for a further share and lift; None leaves both out.
        lift_windows_days: Look-backs of the lifts of items and of their categories; empty for no lifts.
        lift_prior_events: Strength of the shrinkage of the lifts towards 1, in expected events.
    """

    windows_days: tuple[int | None, ...] = (7, 28, None)
    half_window_days: int | None = None
    lift_windows_days: tuple[int, ...] = ()
    lift_prior_events: float = 5.0

    @property
    def share_names(self) -> list[str]:
        """Names of the ``R`` shares."""
        recent = [f"recent_{days}d" if days else "popularity" for days in self.windows_days]
        return [*recent, *(["last_year"] if self.half_window_days is not None else []), "uniform", "newborn"]

    @property
    def lift_names(self) -> list[str]:
        """Names of the ``L`` lifts."""
        windows = [f"{days}d" for days in self.lift_windows_days]
        windows += [] if self.half_window_days is None else ["last_year"]
        return [f"{what}_{window}" for what in ("item", "category") for window in windows]


class DayTables:
    """Tables of days: shares of sales, a uniform floor, a share of newborn items, and lifts.

    A *newborn* item has no sale before the request's day. Its share is uniform over these items, and over all items
    where there are none. The items that are first sold between the end of the history and the request are not told
    apart from those that are sold later, because that would read the future.

    Args:
        popular: Counts of the log.
        options: Look-backs and strengths.
    """

    def __init__(self, popular: PopularityComponents, options: DayOptions) -> None:
        self.popular, self.options = popular, options
        self.num_shares = len(options.share_names)
        self.lift = Lift(popular.counts, options.lift_prior_events)
        shape = (popular.counts.num_items, self.num_shares + len(options.lift_names))
        self._known = RowCache(shape, np.float32, popular.counts.num_days + 1, KEPT_BYTES)

    def __call__(self, requests: Requests) -> tuple[Tensor, Tensor, Tensor]:
        """Returns ``row``, ``popular`` and ``lifts`` of :class:`Evidence`."""
        days, row = request_and_known_days(self.popular.counts, requests)
        keys = [tuple(pair) for pair in days.tolist()]
        table = torch.from_numpy(self._known(keys, lambda places, _: self._compute(days[places])))  # (Q, V, R + L)
        return torch.from_numpy(row), table[..., : self.num_shares], table[..., self.num_shares :]

    def _compute(self, days: Days) -> NDArray[np.float32]:
        """Returns ``(Q, V, R + L)`` shares and lifts."""
        known, half_window_days = days[:, 1], self.options.half_window_days
        windows = [(np.maximum(known - length, 0), known) for length in self.options.lift_windows_days]
        shares = [self.popular.window_of_days(known, length) for length in self.options.windows_days]
        if half_window_days is not None:
            shares.append(self.popular.last_year_of_days(days, half_window_days))
            windows.append(window_a_year_ago(days, half_window_days))
        shares += _uniform_and_newborn(self.popular.counts.before(known) == 0)
        lifts = self.lift(known, windows) if windows else ()
        return np.concatenate([np.stack(shares, axis=-1), *lifts], axis=-1, dtype=np.float32, casting="same_kind")


def _uniform_and_newborn(unsold: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    unsold = unsold | ~unsold.any(1, keepdims=True)
    return [np.full(unsold.shape, 1.0 / unsold.shape[1]), unsold / unsold.sum(1, keepdims=True)]


def read_evidence(tables: DayTables, index: OwnHistoryIndex, requests: Requests, with_features: bool) -> Evidence:
    """Returns the evidence of requests; nothing at or after ``known_until_s`` is read.

    Args:
        tables: Tables of days.
        index: Own purchases; their plain and decayed counts become shares.
        requests: The ``N`` requests.
        with_features: Whether own features are computed; else ``G`` is 0.
    """
    row, popular, lifts = tables(requests)
    own = index(requests)
    weights = torch.cat([own.count[:, None], own.decayed], dim=1)  # (P, S)
    total = torch.zeros(len(requests), weights.shape[1]).index_add_(0, own.request, weights)
    features = own_features(own) if with_features else weights.new_zeros(len(weights), 0)
    shares = weights / total.clamp(min=1e-12)[own.request]
    return Evidence(row, popular, lifts, own.request, own.item, shares, features, own.user_baskets)
