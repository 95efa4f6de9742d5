"""Base of the mixtures: weights of the model and of counted parts, fitted on held-out weeks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.context.base import Context
from seasonrec.batches.context.momentum import MomentumContext
from seasonrec.batches.context.shares import SMALLEST
from seasonrec.batches.facts import Facts
from seasonrec.models.components import ContextValues
from seasonrec.models.mixture.parts import CountedParts
from seasonrec.models.mixture.tilt import Tilt
from seasonrec.ranges import HalfLives, LookBacks, LookBacksIfAny, Weight, WholeDaysOrZero

FIT_STEPS = 150
"""Largest number of steps of the fit."""

LIFT_PRIOR_EVENTS = 1.0
"""Strength of the shrinkage of the lifts towards 1, in expected events."""


@dataclass(frozen=True)
class Observed:
    """A held-out batch with everything looked up that no weight changes; ``M`` targets, ``E`` counted parts.

    Args:
        tilt: The model's probabilities with the lifts of recent sales.
        features: Features of the requests, without those that read the model.
        absent: ``(N, E)`` bool, whether a counted part gives no candidate a probability.
        request: ``(M,)`` int64, request of each target.
        item: ``(M,)`` int64 items.
        counted: ``(M, E)`` probabilities of the targets under the counted parts.
    """

    tilt: Tilt
    features: Tensor
    absent: Tensor
    request: Tensor
    item: Tensor
    counted: Tensor


class Mixture(nn.Module, ABC):
    """Mixture ``p(i) = sum_k pi_k(x) p_k(i)`` of the model and of counted parts, ``pi(x) = softmax(W x)``.

    The model's own probabilities are first multiplied by powers of recent lifts, ``exp(a . lifts(i))``, with exponents
    for the items that the user has bought before and for the others, and divided by their sum.

    ``W`` and ``a`` are fitted by the likelihood of the validation targets when training has ended, because the model
    has seen the targets of training and would get too much weight there. Until then, the logits of the model stay as
    they are.

    Args:
        windows_days: Look-backs of the recent sales in whole days.
        own_half_lives_days: Half-lives of the user's own purchases in days.
        last_year_days: Days on each side of the day a year ago, where the log covers a year before the validation cut.
        lift_windows_days: Look-backs of the lifts in whole days; ``[]`` leaves the model's probabilities as they are.
        penalty: Precision of the normal prior of ``W`` around its start and of ``a`` around 0, in nats.

    Shape:
        - scores: logits ``(N, V)`` of the model, ``-inf`` for items that are no candidates; output: the same before the
          fit, then log probabilities, finite and very low for items that are no candidates.

    Raises:
        ValueError: If a list of days is empty or holds a number at or below 0, or the penalty is below 0.

    References:
        Jordan and Jacobs, Hierarchical Mixtures of Experts and the EM Algorithm, Neural Computation 1994. Departure:
        L-BFGS in place of EM, which reaches the same maximum and allows for parts that are absent.
    """

    weight: Tensor
    exponents: Tensor
    is_fitted: Tensor
    gate_contexts: tuple[Context, ...] = ()
    """Contexts of :meth:`features`."""

    def __init__(
        self,
        windows_days: LookBacks = (7, 28),
        own_half_lives_days: HalfLives = (28.0, 112.0),
        last_year_days: WholeDaysOrZero = 14,
        lift_windows_days: LookBacksIfAny = (1, 7, 28, 84),
        penalty: Weight = 1.0,
        *,
        facts: Facts,
    ) -> None:
        super().__init__()
        has_year = facts.spec.training_cycles >= 1.0
        self.counted = CountedParts(windows_days, own_half_lives_days, last_year_days, has_year, facts.demand)
        self.lifts: MomentumContext | None = None
        if lift_windows_days:
            self.lifts = MomentumContext(tuple(lift_windows_days), LIFT_PRIOR_EVENTS, name="recent_lifts")
        self.penalty = penalty
        lifts = [] if self.lifts is None else [self.lifts]
        self.contexts: tuple[Context, ...] = (*self.counted.contexts, *lifts, *self.gate_contexts)
        self.trend_contexts: tuple[Context, ...] = (*self.counted.by_day, *lifts)
        self.register_buffer("is_fitted", torch.tensor(False))
        self.register_buffer("weight", self.start())
        self.register_buffer("exponents", torch.zeros(2, 2 * len(lift_windows_days) + len(lifts)))

    @property
    def reads(self) -> tuple[Context, ...]:
        """Contexts of a fitted mixture; none before, because nothing is mixed then."""
        return self.contexts if bool(self.is_fitted) else ()

    @property
    @abstractmethod
    def model_names(self) -> tuple[str, ...]:
        """Names of the ``J`` parts of the model."""

    @abstractmethod
    def start(self) -> Tensor:
        """Returns the ``(K, F)`` weights ``W`` at which the fit starts."""

    @abstractmethod
    def features(self, scores: Tensor, context: ContextValues) -> Tensor:
        """Returns the first features of ``x``, which do not read the model; ``(N, ...)``."""

    @abstractmethod
    def of_masses(self, masses: Tensor) -> Tensor:
        """Returns the further features of ``x``, given the ``(N, 2)`` masses on own and new items; ``(N, ...)``."""

    @abstractmethod
    def shares(self, masses: Tensor) -> Tensor:
        """Sums masses on own and new items, ``(N, 2)``, to those of the parts of the model, ``(N, J)``."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the ``K`` parts, those of the model first."""
        return (*self.model_names, *self.counted.names)

    def forward(self, scores: Tensor, context: ContextValues) -> Tensor:
        if not bool(self.is_fitted):
            return scores
        with torch.autocast(scores.device.type, enabled=False):  # probabilities far below 1 need their precision
            scores = scores.float()
            tilt = self._tilt(scores, context)
            masses = tilt.masses(self.exponents)
            absent = ~self.counted.present(scores, context)
            pi = self._log_weights(masses, self.features(scores, context), absent, self.weight).exp()  # (N, K)
            by_model, by_count = torch.split(pi, [len(self.model_names), len(self.counted.names)], dim=1)
            scale = (by_model / self.shares(masses).clamp(min=SMALLEST)).expand(-1, 2)
            mixed = self.counted.mixed(scores, context, by_count) + tilt.dense(self.exponents, scale)
            return mixed.clamp(min=SMALLEST).log()

    def observe(self, scores: Tensor, batch: SequenceBatch, context: ContextValues) -> Observed:
        """Returns a held-out batch for the fit, given the model's masked logits."""
        scores, request, item = scores.float(), batch.target_request, batch.target_items
        absent = ~self.counted.present(scores, context)
        counted = self.counted.at(scores, context, request, item)
        return Observed(self._tilt(scores, context), self.features(scores, context), absent, request, item, counted)

    def fit(self, observed: Sequence[Observed]) -> float:
        """Fits ``W`` and ``a`` by maximum likelihood and returns the mean bits of the observed targets."""
        targets = sum(len(one.request) for one in observed)

        def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            vector = torch.from_numpy(values).to(self.weight).requires_grad_()
            total, gradient = 0.0, np.zeros(len(values))
            for one in observed:  # one batch at a time: the graph of all would hold many tables of days
                with torch.enable_grad():
                    nats = -self.log_likelihood(one, *self._unflattened(vector)).sum()
                    (each,) = torch.autograd.grad(nats, vector)
                total += float(nats.detach())
                gradient += each.double().cpu().numpy()
            prior = 0.5 * self.penalty * float(np.square(values).sum())
            return (total + prior) / targets, (gradient + self.penalty * values) / targets

        found = minimize(
            loss,
            np.zeros(self.weight.numel() + self.exponents.numel()),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": FIT_STEPS, "maxcor": 20},
        )
        fitted = self._unflattened(torch.from_numpy(found.x).to(self.weight))
        for buffer, values in zip((self.weight, self.exponents), fitted, strict=True):
            buffer.copy_(values)
        self.is_fitted.fill_(True)
        return self.bits(observed)

    def log_likelihood(self, observed: Observed, weight: Tensor, exponents: Tensor) -> Tensor:
        """Returns the ``(M,)`` log probabilities of the targets."""
        masses = observed.tilt.masses(exponents)
        log_pi = self._log_weights(masses, observed.features, observed.absent, weight)
        at_targets = self.shares(observed.tilt.at(exponents, observed.request, observed.item))  # (M, J)
        model = at_targets / self.shares(masses).clamp(min=SMALLEST)[observed.request]
        parts = torch.cat([model, observed.counted], dim=1)
        return torch.logsumexp(log_pi[observed.request] + parts.clamp(min=SMALLEST).log(), dim=1)

    def bits(self, observed: Sequence[Observed]) -> float:
        """Returns the mean bits of the observed targets."""
        nats = torch.cat([-self.log_likelihood(one, self.weight, self.exponents) for one in observed])
        return float(nats.double().mean() / np.log(2.0))

    def mean_weights(self, observed: Sequence[Observed]) -> dict[str, float]:
        """Returns the mean weight of each part over the observed requests."""
        pieces = [
            self._log_weights(one.tilt.masses(self.exponents), one.features, one.absent, self.weight)
            for one in observed
        ]
        return dict(zip(self.names, torch.cat(pieces).exp().mean(0).tolist(), strict=True))

    def _tilt(self, scores: Tensor, context: ContextValues) -> Tilt:
        momentum = None if self.lifts is None else context[self.lifts.name]
        return Tilt.of(torch.softmax(scores, dim=1), momentum, context[self.counted.own.name])

    def _log_weights(self, masses: Tensor, features: Tensor, absent: Tensor, weight: Tensor) -> Tensor:
        """Returns ``(N, K)`` log weights of the parts; absent parts have none."""
        shares = self.shares(masses)
        missing = torch.cat([shares <= SMALLEST, absent], dim=1)
        logits = torch.cat([features, self.of_masses(masses)], dim=1) @ weight.T
        return torch.log_softmax(logits.masked_fill(missing, float("-inf")), dim=1)

    def _unflattened(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """Returns ``W``, from its distance to the start, and ``a``."""
        moved, exponents = torch.split(vector, [self.weight.numel(), self.exponents.numel()])
        return self.start().to(vector) + moved.view_as(self.weight), exponents.view_as(self.exponents)
