"""Log-linear counters: a mixture of shares times exponentials of lifts and own features."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from seasonrec.evaluation.baselines.evidence import Evidence


@dataclass(frozen=True)
class LogLinear:
    """Parameters of ``p(i) ~ (sum_c w_c share_c(i)) exp(lifts(i) . a + own features(i) . b)``.

    Letters: see :class:`~seasonrec.evaluation.baselines.evidence.Evidence`; ``J`` bins of the number of known baskets.
    The shares contain a uniform floor and a share of newborn items, so that an item without sales has a probability.
    The sum runs over the catalogue, including items that are not sold before the request; the evaluator leaves these
    out and scales the others up.

    Args:
        edges: ``(J - 1,)`` numbers of known baskets from which the next bin begins, ascending.
        logits: ``(J, S + R)`` logits of the mixture weights, own shares first.
        lift: ``(L,)`` exponents ``a`` of the lifts.
        own: ``(G,)`` exponents ``b`` of the own features.

    References:
        Berger, Della Pietra and Della Pietra, A Maximum Entropy Approach to Natural Language Processing, Computational
        Linguistics 1996, for exponentials of features times a reference distribution; the reference is fitted too.
    """

    edges: Tensor
    logits: Tensor
    lift: Tensor
    own: Tensor

    @property
    def weights(self) -> Tensor:
        """``(J, S + R)`` mixture weights; a row sums to 1."""
        return self.logits.softmax(1)

    def bins(self, evidence: Evidence) -> Tensor:
        """Returns the ``(N,)`` bin of each request."""
        return torch.searchsorted(self.edges, evidence.user_baskets, right=True)

    def log_probabilities(self, evidence: Evidence) -> Tensor:
        """Returns ``(N, V)`` log probabilities over the catalogue.

        A user without a history has no own shares; the other weights are then scaled up.
        """
        bins, by_own, by_day = self.bins(evidence), *self.split_weights(evidence)
        lift = (evidence.lifts @ self.lift).exp()  # (Q, V)
        dense = lift.new_empty(len(bins), lift.shape[1])  # (N, V)
        for place, weights in enumerate(by_day):
            rows = (bins == place).nonzero().squeeze(1)
            dense[rows] = ((evidence.popular @ weights) * lift)[evidence.row[rows]]
        at, request = (evidence.request, evidence.item), evidence.request
        own = (evidence.own * by_own[bins[request]]).sum(1) * lift[evidence.row[request], evidence.item]
        dense[at] = (dense[at] + own) * (evidence.features @ self.own).exp()
        return dense.log() - dense.sum(1, keepdim=True).log()

    def split_weights(self, evidence: Evidence) -> tuple[Tensor, Tensor]:
        """Returns ``(J, S)`` weights of the own shares and ``(J, R)`` weights of the shares by day."""
        num_own = evidence.own.shape[1]
        return self.weights[:, :num_own], self.weights[:, num_own:]
