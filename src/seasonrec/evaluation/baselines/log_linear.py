"""Log-linear counters: a mixture of shares times exponentials of lifts and own features."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from seasonrec.batches.context.shares import SMALLEST
from seasonrec.evaluation.baselines.evidence import Evidence


@dataclass(frozen=True)
class LogLinear:
    """Parameters of ``p(i) ~ (sum_k w_k share_k(i)) exp(lifts(i) . a + own features(i) . b)``.

    Letters: see :class:`~seasonrec.evaluation.baselines.evidence.Evidence`; ``J`` bins of the number of known baskets.
    The shares contain a uniform floor, so that every candidate has a probability. The sum runs over the candidates.

    Args:
        edges: ``(J - 1,)`` numbers of known baskets from which the next bin begins, ascending.
        logits: ``(J, K)`` logits of the mixture weights.
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
        """``(J, K)`` mixture weights; a row sums to 1."""
        return self.logits.softmax(1)

    def bins(self, evidence: Evidence) -> Tensor:
        """Returns the ``(N,)`` bin of each request."""
        return torch.searchsorted(self.edges, evidence.user_baskets, right=True)

    def log_probabilities(self, evidence: Evidence) -> Tensor:
        """Returns ``(N, V)`` log probabilities, which sum to 1 over the candidates."""
        shares = evidence.shares
        dense = shares.mixed(self.weights[self.bins(evidence)])  # (N, V)
        if len(self.lift):
            dense *= (evidence.lifts @ self.lift).exp()[shares.row]
        if len(self.own):
            dense[shares.request, shares.item] *= (evidence.features @ self.own).exp()
        return dense.clamp(min=SMALLEST).log() - dense.sum(1, keepdim=True).log()
