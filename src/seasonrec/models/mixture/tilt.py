"""The model's probabilities, tilted by recent sales."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from seasonrec.batches.context.momentum import Momentum
from seasonrec.batches.context.shares import Shares


@dataclass(frozen=True)
class Tilt:
    """Weights ``p(i) exp(a . lifts(i))`` of the candidates of a batch, which need not sum to 1.

    Items that the user has bought before (*own*) and the others (*new*) have exponents ``a`` of their own. Letters:
    ``N`` requests, ``Q`` days, ``V`` items, ``P`` pairs of a request and an own item, ``M`` targets, ``L`` lifts.

    Args:
        probability: ``(N, V)``, the model's, 0 for items that are no candidates.
        row: ``(N,)`` int64, row of each request in the ``Q`` days.
        lifts: ``(Q, V, L)`` log ratios of recent sales to all earlier ones.
        own: The own pairs.
        at_pairs: ``(P,)`` probabilities of the own pairs.
        pair_lifts: ``(P, L)`` lifts of the own pairs.
    """

    probability: Tensor
    row: Tensor
    lifts: Tensor
    own: Shares
    at_pairs: Tensor
    pair_lifts: Tensor

    @staticmethod
    def of(probability: Tensor, momentum: Momentum, own: Shares) -> Tilt:
        """Returns the weights of a batch with its lifts and its users' own items."""
        lifts = torch.cat([momentum.item, momentum.category, momentum.unsold[..., None]], dim=-1)
        at_pairs, pair_lifts = probability[own.request, own.item], lifts[momentum.row[own.request], own.item]
        return Tilt(probability, momentum.row, lifts, own, at_pairs, pair_lifts)

    def masses(self, exponents: Tensor) -> Tensor:
        """Returns the ``(N, 2)`` sums over own and over new items, for ``(2, L)`` exponents of both."""
        factor = (self.lifts @ exponents[1]).exp()  # (Q, V)
        order = self.row.argsort(stable=True)
        counts = self.row.bincount(minlength=len(factor)).tolist()
        days = torch.split(self.probability[order], counts)
        every = torch.cat([one @ of_day for one, of_day in zip(days, factor, strict=True)])[order.argsort()]
        zero = self.probability.new_zeros(len(self.row))
        own, as_new = (
            zero.index_add(0, self.own.request, self.at_pairs * (self.pair_lifts @ each).exp()) for each in exponents
        )
        return torch.stack([own, (every - as_new).clamp(min=0.0)], dim=1)

    def at(self, exponents: Tensor, request: Tensor, item: Tensor) -> Tensor:
        """Returns the ``(M, 2)`` weights of targets as own and as new items; one of the two is 0."""
        probability, lifts = self.probability[request, item], self.lifts[self.row[request], item]
        is_own = self.own.own_pair(request, item) >= 0
        both = probability[:, None] * (lifts @ exponents.T).exp()
        return both * torch.stack([is_own, ~is_own], dim=1)

    def dense(self, exponents: Tensor, scale: Tensor) -> Tensor:
        """Returns all weights ``(N, V)``, those of own and of new items times ``(N, 2)`` factors."""
        weights = self.probability * (self.lifts @ exponents[1]).exp()[self.row] * scale[:, 1:]
        pairs = self.at_pairs * (self.pair_lifts @ exponents[0]).exp() * scale[self.own.request, 0]
        return weights.index_put((self.own.request, self.own.item), pairs)
