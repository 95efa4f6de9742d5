"""EASE: a linear item-item model with a closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from seasonrec.batches.context.known_items import KnownItems
from seasonrec.batches.requests import Requests, gather_ranges
from seasonrec.data.log import EventLog

MAX_ITEMS = 3_000
"""Largest number of items with scores, the most bought ones; time grows with the cube."""

TEMPERATURES = (4.0, 8.0)
"""Factors of the scores in the softmaxes that make probabilities of them."""


@dataclass(frozen=True)
class EaseOptions:
    """Options of :class:`Ease`.

    Args:
        l2: Strength of the penalty, above 0.
    """

    l2: float


class EaseCounts:
    """Numbers of users who bought two items, ``X'X`` of the binary matrix ``X`` of users and items.

    Args:
        log: The prepared log.
        until_s: End of the purchases in ``X``, at or before every request's ``known_until_s``.
    """

    def __init__(self, log: EventLog, until_s: int) -> None:
        self.log, self.known_items = log, KnownItems(log)
        users = np.arange(log.num_users)
        known = bought_items(log, users, np.full(len(users), until_s))
        sold = np.asarray(known.sum(0)).ravel()
        self.items = np.sort(np.argsort(-sold, kind="stable")[:MAX_ITEMS])
        chosen = known[:, self.items]
        self.together = torch.from_numpy((chosen.T @ chosen).toarray())


class Ease:
    """Scores ``x B`` for the items ``x`` that a user has bought; ``B`` predicts each item by the other ones.

    ``B = I - P diag(1 / P)`` with ``P = (X'X + l2 I)^-1`` and the binary matrix ``X`` of users and items.

    Departures: ``X`` ends with the training part, while ``x`` holds all that is known at the request. Bought items stay
    in the list. The items bought most have scores, the rest has 0. Scores are no probabilities and may be below 0;
    softmaxes at a few temperatures, with a uniform floor and a newborn share, make bits of them and keep the order
    of all items that were sold before. ``B`` has a diagonal of 0, so that the model says little of repeats.

    Args:
        counts: The product ``X'X``, which every setting shares.
        options: Strength of the penalty.

    References:
        Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019.
    """

    def __init__(self, counts: EaseCounts, options: EaseOptions) -> None:
        self.num_items, self.items, self.known_items = counts.log.num_items, counts.items, counts.known_items
        gram = counts.together + options.l2 * torch.eye(len(self.items))
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
        self.weights = -inverse / inverse.diagonal()
        self.weights.fill_diagonal_(0.0)

    def __call__(self, requests: Requests) -> Tensor:
        """Returns ``(N, V)`` scores."""
        pairs = self.known_items(requests.users, requests.known_until_s)
        known = _binary(*pairs, (len(requests), self.num_items))[:, self.items]
        scores = torch.zeros(len(requests), self.num_items)
        scores[:, torch.from_numpy(self.items)] = torch.from_numpy(known.toarray()) @ self.weights
        return scores

    def probabilities(self, requests: Requests) -> list[Tensor]:
        """Returns softmaxes of the scores at all temperatures, each ``(N, V)``."""
        scores = self(requests)
        return [torch.softmax(factor * scores, dim=1) for factor in TEMPERATURES]


def bought_items(log: EventLog, users: NDArray[np.int64], until_s: NDArray[np.int64]) -> sparse.csr_array:
    """Returns the ``(U, V)`` binary matrix of the items that ``(U,)`` distinct users bought before a second."""
    offsets = np.asarray(log.basket_offsets)
    first, stop = np.asarray(log.user_baskets)[users], log.baskets_before(users, until_s)
    row, event = gather_ranges(offsets[first], offsets[stop])
    return _binary(row, np.asarray(log.event_items)[event], (len(users), log.num_items))


def _binary(row: NDArray[np.integer], column: NDArray[np.integer], shape: tuple[int, int]) -> sparse.csr_array:
    """Returns the matrix with a one in each named cell."""
    matrix = sparse.coo_array((np.ones(len(row), dtype=np.float32), (row, column)), shape).tocsr()
    matrix.data[:] = 1.0
    return matrix
