"""Virtual adversarial training: a penalty on predictions that change under a small perturbation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from seasonrec.ranges import Depth, Positive, ranged
from seasonrec.training.adversarial.base import Generators, Loss, Passes
from seasonrec.training.adversarial.callback import AdversarialMethod
from seasonrec.training.adversarial.perturbation import divergence, random_unit, unit
from seasonrec.training.adversarial.shifts import Deltas, TargetCall
from seasonrec.training.adversarial.targets import Target

FindGradients = Callable[[list[Tensor | None]], Deltas]
"""Function of perturbations that returns the gradients of the divergence by them."""


@ranged("adversarial")
@dataclass(frozen=True)
class VAT(AdversarialMethod):
    """Trains on ``L(x) + weight * KL(p(x) || p(x + d))``, with ``d`` the direction that changes the predictions most.

    Power iteration on the divergence finds the direction, from a random start, without the target items. ``p`` is the
    softmax over a request's candidates: the catalogue, or the batch's sample. All predictions ``(N, C)`` are held in
    memory; a sampled loss makes them few for a large catalogue.

    Args:
        target: Vectors that are perturbed, see :data:`~seasonrec.training.adversarial.targets.Target`.
        size: Norm of the perturbation, as a share of the vectors' mean norm.
        num_iterations: Iterations of the power method, one pass each.
        probe_size: Norm at which an iteration takes its gradient, in the unit of ``size``. The paper's 1e-6 is too
            small for the precision of float32 or bfloat16 products.
        weight: Weight of the divergence; the clean loss has weight 1.

    Raises:
        ValueError: If a number is not above 0.

    References:
        Miyato et al., Virtual Adversarial Training: A Regularization Method for Supervised and Semi-Supervised
        Learning, TPAMI 2018, equations 5 and 12, algorithm 1. Departures: relative size, a larger probe, and the same
        dropout in the clean and the perturbed pass.
    """

    target: Target = "items"
    size: Positive = 0.1
    num_iterations: Depth = 1
    probe_size: Positive = 0.05
    weight: Positive = 1.0

    reads_gradient = False
    draws = True

    def train(self, passes: Passes, calls: Sequence[TargetCall], predict: Loss, generators: Generators) -> None:
        clean, seen = passes.look(predict)

        def change() -> Tensor:
            return divergence(clean, predict())

        starts = [random_unit(one.shape, one.is_padding, generators.on(one.device)) for one in seen]
        radii = [one.radius for one in seen]
        directions = power_iteration(
            starts, [self.probe_size * r for r in radii], self.num_iterations, lambda d: passes.gradients(d, change)
        )
        deltas = [self.size * r * direction for r, direction in zip(radii, directions, strict=True)]
        passes.train(deltas, self.weight, change)


def power_iteration(
    starts: Sequence[Tensor], probes: Sequence[Tensor], num_iterations: int, find_gradients: FindGradients
) -> list[Tensor]:
    """Returns the directions in which a function grows fastest around its minimum at 0.

    Near the minimum, the gradient at ``p * d`` is about ``p * H d``, with ``H`` the second derivatives. One gradient is
    thus one step of the power method for the largest eigenvalue, without computing ``H``.

    Args:
        starts: Unit directions.
        probes: Norms ``p``.
        num_iterations: Steps.
        find_gradients: Returns the function's gradients.

    Returns:
        Unit directions; a block whose gradient is zero or not finite keeps its direction.
    """
    directions = list(starts)
    for _ in range(num_iterations):
        gradients = find_gradients([probe * d for probe, d in zip(probes, directions, strict=True)])
        directions = [_turned(d, gradient) for d, gradient in zip(directions, gradients, strict=True)]
    return directions


def _turned(direction: Tensor, gradient: Tensor | None) -> Tensor:
    if gradient is None:
        return direction
    found = unit(gradient)
    is_found = (found != 0).flatten(1).any(dim=1).view(-1, *[1] * (found.ndim - 1))
    return found.where(is_found, direction)
