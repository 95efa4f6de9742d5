"""Fast gradient method: one full step along the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from seasonrec.ranges import Positive, ranged
from seasonrec.training.adversarial.base import Generators, Loss, Passes
from seasonrec.training.adversarial.callback import AdversarialMethod
from seasonrec.training.adversarial.perturbation import unit
from seasonrec.training.adversarial.shifts import TargetCall
from seasonrec.training.adversarial.targets import Target


@ranged("adversarial")
@dataclass(frozen=True)
class FGM(AdversarialMethod):
    """Trains on ``L(x) + weight * L(x + size * g / |g|)``, with ``g`` the gradient of the clean loss ``L(x)``.

    The training step has already computed the gradient of the clean pass, so a batch costs one more pass.

    Args:
        target: Vectors that are perturbed, see :data:`~seasonrec.training.adversarial.targets.Target`.
        size: Norm of the perturbation, as a share of the mean norm of the vectors that are perturbed; see
            :mod:`~seasonrec.training.adversarial.perturbation`.
        weight: Weight of the perturbed loss; the clean loss has weight 1.

    Raises:
        ValueError: If a number is not above 0.

    References:
        Miyato et al., Adversarial Training Methods for Semi-Supervised Text Classification, ICLR 2017, equation 6; He
        et al., Adversarial Personalized Ranking for Recommendation, SIGIR 2018 (embeddings row by row). Departure: the
        size is relative.
    """

    target: Target = "items"
    size: Positive = 0.1
    weight: Positive = 1.0

    reads_gradient = True
    draws = False

    def train(self, passes: Passes, calls: Sequence[TargetCall], predict: Loss, generators: Generators) -> None:
        deltas: list[Tensor | None] = [
            None if one.gradient is None else self.size * one.radius * unit(one.gradient) for one in calls
        ]
        passes.train(deltas, self.weight)
