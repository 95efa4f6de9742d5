"""Base of the mixtures: weights of the model and of counted parts, fitted on held-out weeks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.context.base import Context
from seasonrec.batches.facts import Facts
from seasonrec.models.components import ContextValues
from seasonrec.models.mixture.parts import CountedParts

SMALLEST = 1e-30
"""Smallest probability whose logarithm is taken."""

FIT_STEPS = 200
"""Largest number of steps of the fit."""


@dataclass(frozen=True)
class Observed:
    """Targets with their probabilities under every part; ``N`` requests, ``M`` targets, ``K`` parts, ``F`` features.

    Args:
        features: ``(N, F)``, what the weights depend on.
        absent: ``(N, K)`` bool, whether a part gives no candidate a probability.
        request: ``(M,)`` int64, request of each target.
        parts: ``(M, K)`` probabilities.
    """

    features: Tensor
    absent: Tensor
    request: Tensor
    parts: Tensor

    @staticmethod
    def joined(pieces: list[Observed]) -> Observed:
        """Returns the targets of all pieces in one, at least one."""
        starts = np.cumsum([0, *(len(piece.features) for piece in pieces)]).tolist()
        return Observed(
            torch.cat([piece.features for piece in pieces]),
            torch.cat([piece.absent for piece in pieces]),
            torch.cat([piece.request + start for piece, start in zip(pieces, starts[:-1], strict=True)]),
            torch.cat([piece.parts for piece in pieces]),
        )


class Mixture(nn.Module, ABC):
    """Mixture ``p(i) = sum_k pi_k(x) p_k(i)`` of parts of the model and of counted parts, ``pi(x) = softmax(W x)``.

    ``W`` is fitted by the likelihood of the validation targets when training has ended, because the model has seen the
    targets of training and would get too much weight there. Until then, the logits of the model stay as they are.

    Args:
        windows_days: Look-backs of the recent sales in whole days.
        own_half_lives_days: Half-lives of the user's own purchases in days.
        last_year_days: Days on each side of the day a year ago, where the log covers a year before the validation cut.
        penalty: Precision of the normal prior of ``W`` around its start, in nats per squared unit.

    Shape:
        - scores: logits ``(N, V)`` of the model, ``-inf`` for items that are no candidates; output: the same before the
          fit, then log probabilities, finite and very low for items that are no candidates.

    References:
        Dempster, Laird and Rubin, Maximum Likelihood from Incomplete Data via the EM Algorithm, JRSS B 1977; Jordan
        and Jacobs, Hierarchical Mixtures of Experts and the EM Algorithm, Neural Computation 1994. Departure: L-BFGS
        reaches the same maximum, and allows for parts that are absent.
    """

    weight: Tensor
    is_fitted: Tensor
    needs_fit = True
    penalty: float

    def __init__(
        self,
        windows_days: tuple[int, ...] = (7, 28),
        own_half_lives_days: tuple[float, ...] = (28.0, 112.0),
        last_year_days: int = 14,
        penalty: float = 1.0,
        *,
        facts: Facts,
    ) -> None:
        super().__init__()
        has_year = facts.spec.training_cycles >= 1.0
        self.counted = CountedParts(windows_days, own_half_lives_days, last_year_days, has_year)
        self.penalty = penalty
        self.contexts: tuple[Context, ...] = self.counted.contexts
        self.trend_contexts: tuple[Context, ...] = (self.counted.sales,)
        self.register_buffer("is_fitted", torch.tensor(False))
        self.register_buffer("weight", self.start())

    @property
    def reads(self) -> tuple[Context, ...]:
        """Contexts of a fitted mixture; none before, because nothing is mixed then."""
        return self.contexts if bool(self.is_fitted) else ()

    @property
    @abstractmethod
    def model_names(self) -> tuple[str, ...]:
        """Names of the parts of the model."""

    @property
    @abstractmethod
    def feature_names(self) -> tuple[str, ...]:
        """Names of the ``F`` features."""

    @abstractmethod
    def start(self) -> Tensor:
        """Returns the ``(K, F)`` weights ``W`` at which the fit starts."""

    @abstractmethod
    def split(self, log_p: Tensor, context: ContextValues) -> Tensor:
        """Returns ``(J, N, V)`` bool: which of the ``J`` parts of the model each candidate belongs to."""

    @abstractmethod
    def features(self, mass: Tensor, context: ContextValues) -> Tensor:
        """Returns the ``(N, F)`` features, given the model's mass ``(N, J)`` on each of its parts."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the ``K`` parts, those of the model first."""
        return (*self.model_names, *self.counted.names)

    def forward(self, scores: Tensor, context: ContextValues) -> Tensor:
        if not bool(self.is_fitted):
            return scores
        with torch.autocast(scores.device.type, enabled=False):  # probabilities far below 1 need their precision
            return self._mixed(scores, context)

    def _mixed(self, scores: Tensor, context: ContextValues) -> Tensor:
        probability = torch.softmax(scores.float(), dim=1)
        inside, mass = self._masses(probability, context)
        features, absent = self._asked(scores, mass, context)
        pi = log_weights(features, absent, self.weight).exp()  # (N, K)
        by_model, by_count = torch.split(pi, [mass.shape[1], len(self.counted.names)], dim=1)
        scale = by_model / mass.clamp(min=SMALLEST)  # (N, J)
        mixed = self.counted.mixed(scores, context, by_count)
        for part in range(mass.shape[1]):
            mixed = mixed + probability * inside[part] * scale[:, part, None]
        return mixed.clamp(min=SMALLEST).log()

    def observe(self, scores: Tensor, batch: SequenceBatch, context: ContextValues) -> Observed:
        """Returns the targets of a held-out batch with their probabilities, given the model's masked logits."""
        request, item = batch.target_request, batch.target_items
        probability = torch.softmax(scores.float(), dim=1)
        inside, mass = self._masses(probability, context)
        features, absent = self._asked(scores, mass, context)
        own = probability[request, item, None] / mass.clamp(min=SMALLEST)[request]
        model = own * inside[:, request, item].T
        parts = torch.cat([model, self.counted.at(scores, context, request, item)], dim=1)
        return Observed(features.double(), absent, request, parts.double())

    def fit(self, observed: Observed) -> float:
        """Fits ``W`` by maximum likelihood and returns the mean bits of the observed targets."""
        start, targets = self.start().double(), len(observed.request)
        log_parts = observed.parts.clamp(min=SMALLEST).log()

        def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            moved = torch.from_numpy(values).view_as(start).requires_grad_()
            with torch.enable_grad():
                log_pi = log_weights(observed.features, observed.absent, start + moved)
                mean = torch.logsumexp(log_pi.index_select(0, observed.request) + log_parts, dim=1).mean()
                value = 0.5 * self.penalty * moved.square().sum() / targets - mean
                (gradient,) = torch.autograd.grad(value, moved)
            return float(value.detach()), gradient.flatten().numpy()

        found = minimize(loss, np.zeros(start.numel()), jac=True, method="L-BFGS-B", options={"maxiter": FIT_STEPS})
        self.weight.copy_(start + torch.from_numpy(found.x).view_as(start))
        self.is_fitted.fill_(True)
        log_pi = log_weights(observed.features, observed.absent, self.weight.double())
        nats = torch.logsumexp(log_pi.index_select(0, observed.request) + log_parts, dim=1).mean()
        return float(-nats / np.log(2.0))

    def mean_weights(self, observed: Observed) -> dict[str, float]:
        """Returns the mean weight of each part over the observed requests."""
        pi = log_weights(observed.features, observed.absent, self.weight.double()).exp().mean(0)
        return dict(zip(self.names, pi.tolist(), strict=True))

    def _masses(self, probability: Tensor, context: ContextValues) -> tuple[Tensor, Tensor]:
        """Returns ``(J, N, V)`` bool and the model's mass on each part, ``(N, J)``."""
        inside = self.split(probability, context)
        return inside, torch.stack([(probability * part).sum(1) for part in inside], dim=1)

    def _asked(self, scores: Tensor, mass: Tensor, context: ContextValues) -> tuple[Tensor, Tensor]:
        present = torch.cat([mass > SMALLEST, self.counted.present(scores, context)], dim=1)
        return self.features(mass, context), ~present


def log_weights(features: Tensor, absent: Tensor, weight: Tensor) -> Tensor:
    """Returns ``(N, K)`` log weights of the parts; absent parts have none."""
    return torch.log_softmax((features @ weight.T).masked_fill(absent, float("-inf")), dim=1)
