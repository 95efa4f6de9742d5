"""FreeLB: adversarial training in which every gradient step also trains the weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seasonrec.ranges import Depth, Positive, ranged
from seasonrec.training.adversarial.base import Generators, Loss, Passes
from seasonrec.training.adversarial.callback import AdversarialMethod
from seasonrec.training.adversarial.perturbation import ascend, random_start
from seasonrec.training.adversarial.shifts import TargetCall
from seasonrec.training.adversarial.targets import Target


@ranged("adversarial")
@dataclass(frozen=True)
class FreeLB(AdversarialMethod):
    """Trains on ``L(x) + weight / K * sum_k L(x + d_k)``; ``d_1`` is random, ``d_(k+1)`` is one step from ``d_k``.

    The pass that trains on a perturbation also gives the gradient for the next one, so a batch costs ``num_steps``
    more passes. As in the paper, dropout drops the same places in all of them.

    Args:
        target: Vectors that are perturbed, see :data:`~seasonrec.training.adversarial.targets.Target`.
        size: Largest norm of the perturbation, as a share of the vectors' mean norm.
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
    size: Positive = 0.1
    num_steps: Depth = 3
    step_size: Positive = 0.05
    weight: Positive = 1.0

    reads_gradient = False
    draws = True

    def train(self, passes: Passes, calls: Sequence[TargetCall], predict: Loss, generators: Generators) -> None:
        radii = [self.size * one.radius for one in calls]
        deltas = [
            random_start(one.shape, radius, one.is_padding, generators.on(one.device))
            for one, radius in zip(calls, radii, strict=True)
        ]
        for step in range(self.num_steps):
            is_last = step + 1 == self.num_steps
            gradients = passes.train(deltas, self.weight / self.num_steps, wants_gradients=not is_last)
            deltas = [
                ascend(delta, gradient, self.step_size * one.radius, radius)
                for delta, gradient, one, radius in zip(deltas, gradients, calls, radii, strict=True)
            ]
