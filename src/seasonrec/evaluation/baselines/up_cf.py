"""UP-CF@r: the user's recent frequencies, and those of users with a similar choice of items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from seasonrec.batches.context.own_history import OwnHistoryIndex
from seasonrec.batches.requests import Requests, gather_ranges
from seasonrec.data.log import EventLog
from seasonrec.evaluation.baselines.ease import bought_items
from seasonrec.evaluation.baselines.neighbour_pool import pool_of_users


@dataclass(frozen=True)
class UpCfOptions:
    """Options of :class:`UpCf`.

    Args:
        recency: Number ``r`` of the last baskets whose frequencies count; None for all.
        asymmetry: Exponent ``alpha`` of the number of the own items, between 0 and 1; the neighbour's has the rest.
        locality: Exponent ``q`` of the similarity, at least 1; a higher one listens to nearer users.
    """

    recency: int | None
    asymmetry: float
    locality: float


class UpCf:
    """Scores ``sum_v w(u, v)^q pi_r(v, i)`` over all users ``v``, the user ``u`` included with ``w(u, u) = 1``.

    ``pi_r(v, i)`` is the share of the last ``r`` baskets of user ``v`` that hold item ``i``. ``w(u, v)`` is the
    asymmetric cosine ``|I_u and I_v| / (|I_u|^alpha |I_v|^(1 - alpha))`` of the sets of items bought.

    Departures: the other users' frequencies and all similarities are those at ``pool_until_s``, while the own
    frequencies are those of the request; a large pool of users is thinned. The scores are at or above 0, so they are
    scaled to the sum 1 and serve as probabilities beside a uniform floor and a newborn share, which change the order of
    newborn items only.

    Args:
        log: The prepared log.
        pool_until_s: End of the histories of the other users, at or before every request's ``known_until_s``.
        options: Recency, asymmetry and locality.

    References:
        Faggioli, Polato and Aiolli, Recency Aware Collaborative Filtering for Next Basket Recommendation, UMAP 2020;
        the similarity is that of Aiolli, Efficient Top-N Recommendation for Very Large Scale Binary Rated Datasets,
        RecSys 2013.
    """

    def __init__(self, log: EventLog, pool_until_s: int, options: UpCfOptions) -> None:
        self.log, self.pool_until_s, self.options = log, pool_until_s, options
        self.pool_users = pool_of_users(log, pool_until_s)
        self.bought = self._bought(self.pool_users)
        until_s = np.full(len(self.pool_users), pool_until_s)
        self.pool = recent_frequencies(log, self.pool_users, until_s, options.recency)
        self.own_history = OwnHistoryIndex(log, (), with_rhythm=False, most_items=log.num_items)

    def __call__(self, requests: Requests) -> Tensor:
        """Returns ``(N, V)`` scores scaled to the sum 1; all 0 for a user without any history or similar user."""
        own = self._own(requests)
        users, row = np.unique(requests.users, return_inverse=True)
        scores = own.toarray() + self.of_others(users)[row]
        return torch.from_numpy(scores / np.maximum(scores.sum(1, keepdims=True), 1e-12))

    def of_others(self, users: NDArray[np.int64]) -> NDArray[np.float32]:
        """Returns ``(U, V)`` sums of the other users' frequencies, each times its power of the similarity."""
        mine = self._bought(users)
        common = (mine @ self.bought.T).toarray()  # (U, users of the pool)
        alpha = self.options.asymmetry
        sizes = (
            np.maximum(np.asarray(one.sum(1)), 1.0) ** power for one, power in ((mine, alpha), (self.bought, 1 - alpha))
        )
        similarity = common / np.outer(*sizes)
        similarity[users[:, None] == self.pool_users] = 0.0
        weights = similarity.astype(np.float32) ** np.float32(self.options.locality)
        return np.asarray((self.pool.T @ weights.T).T)

    def _own(self, requests: Requests) -> sparse.csr_array:
        if self.options.recency is not None:
            return recent_frequencies(self.log, requests.users, requests.known_until_s, self.options.recency)
        own = self.own_history(requests)  # not every purchase of every request
        request, item = own.request.numpy(), own.item.numpy()
        share = _added(own.count.numpy().astype(np.int64), request, own.user_baskets.numpy().astype(np.int64))
        return sparse.coo_array((share, (request, item)), (len(requests), self.log.num_items)).tocsr()

    def _bought(self, users: NDArray[np.int64]) -> sparse.csr_array:
        return bought_items(self.log, users, np.full(len(users), self.pool_until_s))


def recent_frequencies(
    log: EventLog, users: NDArray[np.int64], until_s: NDArray[np.int64], recency: int | None
) -> sparse.csr_array:
    """Returns the ``(N, V)`` shares of the users' last baskets before a second that hold an item; None takes all."""
    first, stop = np.asarray(log.user_baskets)[users], log.baskets_before(users, until_s)
    if recency is not None:
        first = np.maximum(first, stop - recency)
    offsets = np.asarray(log.basket_offsets)
    row, event = gather_ranges(offsets[first], offsets[stop])
    weight = (1.0 / np.maximum(stop - first, 1)).astype(np.float32)[row]
    items = np.asarray(log.event_items)[event]
    return sparse.coo_array((weight, (row, items)), (len(users), log.num_items)).tocsr()


def _added(count: NDArray[np.int64], request: NDArray[np.int64], baskets: NDArray[np.int64]) -> NDArray[np.float32]:
    """Returns ``(P,)`` sums of ``count`` times ``1 / baskets``, as single additions one after the other give them.

    Args:
        count: ``(P,)``, at least 1.
        request: ``(P,)``, rising.
        baskets: ``(N,)`` baskets of each request.
    """
    added = np.empty(len(count), dtype=np.float32)
    bounds = np.searchsorted(request, np.arange(len(baskets) + 1))
    for number in range(len(baskets)):
        pairs = slice(bounds[number], bounds[number + 1])
        most = int(count[pairs].max(initial=0))
        weight = np.float32(1.0 / max(int(baskets[number]), 1))
        added[pairs] = np.cumsum(np.full(most, weight))[count[pairs] - 1]
    return added
