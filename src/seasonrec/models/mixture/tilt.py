"""The model's probabilities, tilted by recent sales."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from seasonrec.batches.context.momentum import Momentum
from seasonrec.batches.context.shares import Shares, rows_or_zero


@dataclass(frozen=True)
class Tilt:
    """Weights ``p(i) exp(a . lifts(i))`` of the candidates of a batch, which need not sum to 1.

    Items that the user has bought before (*own*) and the others (*new*) have exponents ``a`` of their own. Letters:
    ``N`` requests, ``Q`` days, ``V`` items, ``P`` pairs of a request and an own item, ``M`` targets, ``L`` lifts.

    Args:
        new: ``(N, V)`` the model's probabilities, 0 for the user's own items and for items that are no candidates.
        row: ``(N,)`` int64, row of each request in the ``Q`` days.
        lifts: ``(Q, V, L)`` log ratios of recent sales to all earlier ones.
        own: The own pairs.
        at_pairs: ``(P,)`` probabilities of the own pairs.
        pair_lifts: ``(P, L)`` lifts of the own pairs.
    """

    new: Tensor
    row: Tensor
    lifts: Tensor
    own: Shares
    at_pairs: Tensor
    pair_lifts: Tensor

    @staticmethod
    def of(probability: Tensor, momentum: Momentum | None, own: Shares) -> Tilt:
        """Returns the weights of a batch with its lifts, of which there may be none, and its users' own items."""
        if momentum is None:
            row = torch.zeros(len(probability), dtype=torch.int64, device=probability.device)
            lifts = probability.new_zeros(1, probability.shape[1], 0)
        else:
            row = momentum.row
            lifts = torch.cat([momentum.item, momentum.category, momentum.unsold[..., None]], dim=-1)
        at_pairs, pair_lifts = probability[own.request, own.item], lifts[row[own.request], own.item]
        new = probability.index_put((own.request, own.item), torch.zeros_like(at_pairs))
        return Tilt(new, row, lifts, own, at_pairs, pair_lifts)

    def masses(self, exponents: Tensor) -> Tensor:
        """Returns the ``(N, 2)`` sums over own and over new items, for ``(2, L)`` exponents of both."""
        factor = (self.lifts @ exponents[1]).exp()  # (Q, V)
        order = self.row.argsort(stable=True)
        counts = self.row.bincount(minlength=len(factor)).tolist()
        days = torch.split(self.new[order], counts)
        new = torch.cat([one @ of_day for one, of_day in zip(days, factor, strict=True)])[order.argsort()]
        pairs = self.at_pairs * (self.pair_lifts @ exponents[0]).exp()
        own = new.new_zeros(len(new)).index_add(0, self.own.request, pairs)
        return torch.stack([own, new], dim=1)

    def at(self, exponents: Tensor, request: Tensor, item: Tensor) -> Tensor:
        """Returns the ``(M, 2)`` weights of targets as own and as new items; one of the two is 0."""
        own = rows_or_zero(self.at_pairs[:, None], self.own.own_pair(request, item))
        both = torch.cat([own, self.new[request, item, None]], dim=1)
        return both * (self.lifts[self.row[request], item] @ exponents.T).exp()

    def dense(self, exponents: Tensor, scale: Tensor) -> Tensor:
        """Returns all weights ``(N, V)``, those of own and of new items times ``(N, 2)`` factors."""
        weights = self.new * (self.lifts @ exponents[1]).exp()[self.row] * scale[:, 1:]
        pairs = self.at_pairs * (self.pair_lifts @ exponents[0]).exp() * scale[self.own.request, 0]
        return weights.index_put((self.own.request, self.own.item), pairs)
