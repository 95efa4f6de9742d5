"""TIFU-KNN: decayed frequencies of the user's items, mixed with those of the nearest users."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.requests import Requests, gather_ranges
from seasonrec.data.log import EventLog
from seasonrec.evaluation.baselines.neighbour_pool import pool_of_users

VECTORS_AT_ONCE = 1 << 22
"""Number of cells of user vectors that are computed at a time."""

BASKETS_AT_ONCE = 1 << 20
"""Number of baskets of all requests together that are weighed at a time."""

LEAST_WEIGHT = 1e-52
"""Weight of a basket at or below which it is not read: 10 million of them are 0 in single precision."""


@dataclass(frozen=True)
class TifuOptions:
    """Options of :class:`TifuKnn`.

    Args:
        group_size: Number ``m`` of baskets of a group; the oldest group of a user may be smaller.
        basket_decay: Factor ``r_b`` per basket within a group, at most 1.
        group_decay: Factor ``r_g`` per group, at most 1.
        num_neighbours: Number ``k`` of nearest users.
        own_share: Weight ``alpha`` of the user's own vector, the rest is that of the neighbours.
    """

    group_size: int
    basket_decay: float
    group_decay: float
    num_neighbours: int
    own_share: float


class TifuKnn:
    """Scores ``alpha u + (1 - alpha) n``: the user's vector ``u`` and the mean ``n`` of the nearest users' vectors.

    A user's vector is the mean over groups of baskets of ``r_g^(groups since)`` times the group's mean of
    ``r_b^(baskets since)`` times the basket's items. The own vector is that of the request.

    Departures: the neighbours are found once, among the vectors at ``pool_until_s``, by the user's vector then; groups
    are counted from the newest basket; a large pool of users is thinned. The scores are above or equal to
    0, so they are scaled to the sum 1 and serve as probabilities beside a uniform floor and a newborn share, which
    change the order of newborn items only.

    Args:
        log: The prepared log.
        pool_until_s: End of the histories of the neighbours, at or before every request's ``known_until_s``.
        options: Decays and neighbours.

    References:
        Hu, He, Gao and Zhang, Modeling Personalized Item Frequency Information for Next-basket Recommendation, SIGIR
        2020.
    """

    def __init__(self, log: EventLog, pool_until_s: int, options: TifuOptions) -> None:
        self.log, self.pool_until_s, self.options = log, pool_until_s, options
        self.pool_users = pool_of_users(log, pool_until_s)
        self.pool = self._vectors_then(self.pool_users)  # (users of the pool, V)
        self.half_norms = 0.5 * self.pool.square().sum(1)

    def __call__(self, requests: Requests) -> Tensor:
        """Returns ``(N, V)`` scores scaled to the sum 1; all 0 for a user without any history or neighbour."""
        own = user_vectors(self.log, requests.users, requests.known_until_s, self.options)
        users, row = np.unique(requests.users, return_inverse=True)
        near = self.neighbours(users)[torch.from_numpy(row)]
        scores = self.options.own_share * own + (1.0 - self.options.own_share) * near
        return scores / scores.sum(1, keepdim=True).clamp(min=1e-12)

    def neighbours(self, users: NDArray[np.int64]) -> Tensor:
        """Returns ``(U, V)`` means of the vectors of each user's nearest other users, in Euclidean distance."""
        count = min(self.options.num_neighbours, len(self.pool_users) - 1)
        if count < 1:
            return torch.zeros(len(users), self.log.num_items)
        closeness = self._vectors_then(users) @ self.pool.T - self.half_norms  # (U, users of the pool)
        closeness.masked_fill_(torch.from_numpy(users[:, None] == self.pool_users), -torch.inf)
        chosen = torch.topk(closeness, count, dim=1, sorted=False).indices
        return torch.zeros_like(closeness).scatter_(1, chosen, 1.0 / count) @ self.pool

    def _vectors_then(self, users: NDArray[np.int64]) -> Tensor:
        step = max(1, VECTORS_AT_ONCE // self.log.num_items)
        parts = [users[start : start + step] for start in range(0, len(users), step)]
        until_s = self.pool_until_s
        pieces = [user_vectors(self.log, part, np.full(len(part), until_s), self.options) for part in parts]
        return torch.cat([torch.zeros(0, self.log.num_items), *pieces])


def user_vectors(log: EventLog, users: NDArray[np.int64], until_s: NDArray[np.int64], options: TifuOptions) -> Tensor:
    """Returns ``(N, V)`` vectors of users from their baskets before a second; all 0 without a basket.

    Baskets whose weight is 0 in single precision are not read, so that a user with very many takes no longer.
    """
    first, stop = np.asarray(log.user_baskets)[users], log.baskets_before(users, until_s)
    begin = np.maximum(first, stop - _reach(options))
    portion = np.cumsum(stop - begin) // BASKETS_AT_ONCE
    parts = np.split(np.arange(len(users)), np.flatnonzero(np.diff(portion)) + 1)
    return torch.cat([_vectors(log, first[part], begin[part], stop[part], options) for part in parts])


def _vectors(
    log: EventLog, first: NDArray[np.int64], begin: NDArray[np.int64], stop: NDArray[np.int64], options: TifuOptions
) -> Tensor:
    """Returns ``(N, V)`` vectors from baskets ``first:stop``, of which those before ``begin`` have no weight."""
    row, basket = gather_ranges(begin, stop)
    number, since = (stop - first)[row], stop[row] - 1 - basket
    group, groups = since // options.group_size, -(-number // options.group_size)
    size = np.where(group == groups - 1, number - group * options.group_size, options.group_size)
    weight = options.group_decay**group * options.basket_decay ** (since % options.group_size) / (size * groups)
    offsets = np.asarray(log.basket_offsets)
    owner, event = gather_ranges(offsets[basket], offsets[basket + 1])
    cell = row[owner] * log.num_items + np.asarray(log.event_items)[event]
    table = np.bincount(cell, weight[owner], minlength=len(first) * log.num_items)
    return torch.from_numpy(table.astype(np.float32)).view(len(first), log.num_items)


def _reach(options: TifuOptions) -> int:
    """Returns the number of last baskets whose weights can be above 0 in single precision."""
    if options.group_decay == 1.0:
        return np.iinfo(np.int64).max // 2
    groups = math.ceil(math.log(LEAST_WEIGHT) / math.log(options.group_decay))
    return options.group_size * groups
