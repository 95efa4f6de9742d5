"""FreeLB: adversarial training in which every gradient step also trains the weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import lightning as L

from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.training.adversarial.base import Generators, Loss, Passes, check_above_zero
from seasonrec.training.adversarial.callback import AdversarialCallback
from seasonrec.training.adversarial.perturbation import ascend, random_start
from seasonrec.training.adversarial.shifts import TargetCall
from seasonrec.training.adversarial.targets import Target


@dataclass(frozen=True)
class FreeLB:
    """Trains on ``L(x) + weight / K * sum_k L(x + d_k)``, with ``d_1`` random and ``d_(k+1)`` one step on from ``d_k``.

    The pass that trains on a perturbation also gives the gradient for the next one, so a batch costs ``num_steps``
    more passes. As in the paper, dropout drops the same places in all of them.

    Args:
        target: What is perturbed, see :data:`~seasonrec.training.adversarial.targets.Target`.
        size: Largest norm of the perturbation, as a share of the mean norm of the vectors that are perturbed; see
            :mod:`~seasonrec.training.adversarial.perturbation`.
        num_steps: Number of perturbations ``K``.
        step_size: Norm of a step, in the unit of ``size``.
        weight: Weight of the perturbed losses' mean; the clean loss has weight 1.

    Raises:
        ValueError: If a number is not above 0.

    References:
        Zhu et al., FreeLB: Enhanced Adversarial Training for Natural Language Understanding, ICLR 2020, algorithm 1.
        Departures: the clean loss stays, and the size is relative.
    """

    target: Target = "items"
    size: float = 0.1
    num_steps: int = 3
    step_size: float = 0.05
    weight: float = 1.0

    reads_gradient = False
    draws = True

    def __post_init__(self) -> None:
        check_above_zero(size=self.size, num_steps=self.num_steps, step_size=self.step_size, weight=self.weight)

    def callbacks(self, model: SeasonalRecommender) -> list[L.Callback]:
        return [AdversarialCallback(self, model)]

    def train(self, passes: Passes, calls: Sequence[TargetCall], predict: Loss, generators: Generators) -> None:
        radii = [self.size * one.radius for one in calls]
        deltas = [
            random_start(one.shape, radius, one.is_padding, generators.on(one.device))
            for one, radius in zip(calls, radii, strict=True)
        ]
        for step in range(self.num_steps):
            goes_on = step + 1 < self.num_steps
            gradients = passes.train(deltas, self.weight / self.num_steps, wants_gradients=goes_on)
            deltas = [
                ascend(delta, gradient, self.step_size * one.radius, radius)
                for delta, gradient, one, radius in zip(deltas, gradients, calls, radii, strict=True)
            ]
