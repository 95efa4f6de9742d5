"""Shares of sales and of own purchases: parts of a mixture of probabilities, as known at the request."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

COUNTED = 2
"""Number of the last parts, ``uniform`` and ``newborn``, which count items instead of sales."""

SMALLEST = 1e-30
"""Divisor or probability in place of 0; its logarithm is finite in single precision."""


@dataclass(frozen=True)
class Shares:
    """Probabilities of all items under ``K = S + R + 2`` parts, in this order.

    - ``S`` own parts: shares of the user's own purchases, plain or decayed.
    - ``R`` parts by day: shares of all sales in recent days, decayed, or around the same day a year ago.
    - ``uniform``: equal for all candidates.
    - ``newborn``: equal for the candidates without a sale before the day on which the known history ends, such as the
      items first sold earlier on that day.

    A part sums to 1 over the candidates, or it is 0 for every item: own parts of a user without a history, days without
    sales, no newborn item. :meth:`mixed` gives the weight of such a part to the other ones.

    Letters: ``N`` requests, ``Q`` days, ``V`` items, ``P`` pairs of a request and an own item, ``T`` pairs of a request
    and a newborn item. ``T`` is 0 where the whole catalogue is ranked: the day alone then says which are newborn.

    Args:
        row: ``(N,)`` int64, row of each request in the ``Q`` days.
        by_day: ``(Q, V, R + 2)``, the parts by day; the last two are 1 for the candidates and the newborn items that
            the day alone tells.
        request: ``(P,)`` int64, ascending.
        item: ``(P,)`` int64, ascending within a request.
        own: ``(P, S)``, the own parts.
        newborn_request: ``(T,)`` int64, ascending.
        newborn_item: ``(T,)`` int64, ascending within a request.
        sizes: ``(N, 2)``, number of candidates and of newborn items.
    """

    row: Tensor
    by_day: Tensor
    request: Tensor
    item: Tensor
    own: Tensor
    newborn_request: Tensor
    newborn_item: Tensor
    sizes: Tensor

    @property
    def present(self) -> Tensor:
        """``(N, K)`` bool, whether a part has any probability."""
        own = self.own.new_zeros(len(self.row), self.own.shape[1]).index_add(0, self.request, self.own) > 0
        by_day = self.by_day[..., :-COUNTED].amax(1) > 0  # (Q, R)
        return torch.cat([own, by_day[self.row], self.sizes > 0], dim=1)

    def at(self, request: Tensor, item: Tensor) -> Tensor:
        """Returns ``(M, K)`` probabilities of ``(M,)`` pairs of a request and an item under every part."""
        by_day = self.by_day[self.row[request], item]  # (M, R + 2)
        newborn = (self._place(self.newborn_request, self.newborn_item, request, item) >= 0).to(by_day.dtype)
        counted = (by_day[:, -COUNTED:] + newborn[:, None]) / self.sizes[request].clamp(min=1.0)
        own = rows_or_zero(self.own, self.own_pair(request, item))
        return torch.cat([own, by_day[:, :-COUNTED], counted], dim=1)

    def mixed(self, weights: Tensor) -> Tensor:
        """Returns the ``(N, V)`` mixture of the parts; a row sums to 1 over the candidates.

        Args:
            weights: ``(N, K)`` weights of the parts, at or above 0. They need not sum to 1: the mixture is divided by
                the sum over the parts that are present, and is 0 where none is.
        """
        own, day = self.split(weights / (weights * self.present).sum(1, keepdim=True).clamp(min=SMALLEST))
        dense = self._of_days(day)
        dense = dense.index_put((self.newborn_request, self.newborn_item), self.counted(day), accumulate=True)
        return dense.index_put((self.request, self.item), (self.own * own[self.request]).sum(1), accumulate=True)

    def split(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Returns ``(N, S)`` weights of ``own`` and ``(N, R + 2)`` weights of ``by_day``, for ``(N, K)`` weights."""
        num_own = self.own.shape[1]
        counted = weights[:, -COUNTED:] / self.sizes.clamp(min=1.0)
        return weights[:, :num_own], torch.cat([weights[:, num_own:-COUNTED], counted], dim=1)

    def counted(self, day: Tensor) -> Tensor:
        """Returns the ``(T,)`` probabilities of newborn items, for ``(N, R + 2)`` weights of ``by_day``."""
        return day[self.newborn_request, -COUNTED:].sum(1)

    def own_pair(self, request: Tensor, item: Tensor) -> Tensor:
        """Returns the ``(M,)`` pair of each request and item, or -1 if the user has not bought the item."""
        return self._place(self.request, self.item, request, item)

    def with_own(self, request: Tensor, item: Tensor, weights: Tensor) -> Shares:
        """Returns these shares with other own parts: weights ``(P, S)`` of own items, scaled to the sum 1 by request.

        Args:
            request: ``(P,)`` int64, ascending.
            item: ``(P,)`` int64, ascending within a request.
            weights: ``(P, S)``, at or above 0, for example decayed counts.
        """
        total = weights.new_zeros(len(self.row), weights.shape[1]).index_add(0, request, weights)[request]
        return replace(self, request=request, item=item, own=torch.where(total > 0, weights / total, 0.0))

    def rows(self, start: int, stop: int) -> Shares:
        """Returns the shares of the requests ``start:stop`` alone, with their days alone."""
        days, row = torch.unique(self.row[start:stop], return_inverse=True)
        first, last, first_newborn, last_newborn = (
            int(torch.searchsorted(requests, end))
            for requests in (self.request, self.newborn_request)
            for end in (start, stop)
        )
        return replace(
            self,
            row=row,
            by_day=self.by_day[days],
            request=self.request[first:last] - start,
            item=self.item[first:last],
            own=self.own[first:last],
            newborn_request=self.newborn_request[first_newborn:last_newborn] - start,
            newborn_item=self.newborn_item[first_newborn:last_newborn],
            sizes=self.sizes[start:stop],
        )

    def _of_days(self, day: Tensor) -> Tensor:
        """Returns ``(N, V)`` products of weights ``(N, R + 2)`` and the parts by day; one matrix product per day."""
        order = self.row.argsort()
        counts = self.row.bincount(minlength=len(self.by_day)).tolist()
        pieces = [
            weights @ table.T for weights, table in zip(torch.split(day[order], counts), self.by_day, strict=True)
        ]  # (n, V) each
        return torch.cat(pieces)[order.argsort()]

    def _place(self, requests: Tensor, items: Tensor, request: Tensor, item: Tensor) -> Tensor:
        num_items = self.by_day.shape[1]
        keys, wanted = requests * num_items + items, request * num_items + item
        place = torch.searchsorted(keys, wanted)
        if not len(keys):
            return torch.full_like(place, -1)
        found = keys[place.clamp(max=len(keys) - 1)] == wanted
        return torch.where(found, place, -1)


def rows_or_zero(values: Tensor, place: Tensor) -> Tensor:
    """Returns the rows of ``(P, F)`` values at ``(M,)`` places, ``(M, F)``; 0 at place -1."""
    if not len(values):
        return values.new_zeros(len(place), values.shape[1])
    return values[place.clamp(min=0)] * (place >= 0)[:, None]
