"""Projected gradient descent: several small steps along the gradient, within a ball."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seasonrec.ranges import Depth, Positive, ranged
from seasonrec.training.adversarial.base import Generators, Loss, Passes
from seasonrec.training.adversarial.callback import AdversarialMethod
from seasonrec.training.adversarial.perturbation import ascend, random_start
from seasonrec.training.adversarial.shifts import Deltas, TargetCall
from seasonrec.training.adversarial.targets import Target


@ranged("adversarial")
@dataclass(frozen=True)
class PGD(AdversarialMethod):
    """Trains on ``L(x) + weight * L(x + d)``, with ``d`` found by ``num_steps`` steps within the ball of ``size``.

    Without a random start, the first gradient is that of the clean pass, and a batch costs ``num_steps`` more passes.
    A random start costs one further pass.

    Args:
        target: Vectors that are perturbed, see :data:`~seasonrec.training.adversarial.targets.Target`.
        size: Largest norm of the perturbation, as a share of the vectors' mean norm.
        num_steps: Number of gradient steps.
        step_size: Norm of a step, in the unit of ``size``.
        random_start: Whether the first step starts at a random point of the ball instead of the clean input.
        weight: Weight of the perturbed loss; the clean loss has weight 1.

    Raises:
        ValueError: If a number is not above 0.

    References:
        Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018, section 2.1. Departures:
        L2 balls of relative size, the clean loss stays, and there is no random start by default.
    """

    target: Target = "items"
    size: Positive = 0.1
    num_steps: Depth = 3
    step_size: Positive = 0.05
    random_start: bool = False
    weight: Positive = 1.0

    @property
    def reads_gradient(self) -> bool:
        return not self.random_start

    @property
    def draws(self) -> bool:
        return self.random_start

    def train(self, passes: Passes, calls: Sequence[TargetCall], predict: Loss, generators: Generators) -> None:
        deltas = [self._start(one, generators) for one in calls]
        gradients: Deltas = passes.gradients(deltas) if self.random_start else [one.gradient for one in calls]
        deltas = self._ascended(deltas, gradients, calls)
        for _ in range(self.num_steps - 1):
            deltas = self._ascended(deltas, passes.gradients(deltas), calls)
        passes.train(deltas, self.weight)

    def _start(self, one: TargetCall, generators: Generators) -> Tensor:
        if not self.random_start:
            return torch.zeros(one.shape, device=one.device)
        return random_start(one.shape, self.size * one.radius, one.is_padding, generators.on(one.device))

    def _ascended(self, deltas: Sequence[Tensor], gradients: Deltas, calls: Sequence[TargetCall]) -> list[Tensor]:
        return [
            ascend(delta, gradient, self.step_size * one.radius, self.size * one.radius)
            for delta, gradient, one in zip(deltas, gradients, calls, strict=True)
        ]
