"""What adversarial training is to the training module, and what a method is to the callback that runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import lightning as L
import torch
from torch import Tensor

from seasonrec.errors import UserError
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.training.adversarial.shifts import Deltas, Met
from seasonrec.training.adversarial.targets import Target

Loss = Callable[[], Tensor]
"""A scalar of the batch at hand, from the model as it is when it is called."""


class Adversarial(Protocol):
    """Training on perturbed inputs, as the training module takes it: a frozen dataclass of options."""

    def callbacks(self, model: SeasonalRecommender) -> list[L.Callback]:
        """What does it; the module hands them to its trainer.

        Raises:
            ValueError: If the model has not what is to be perturbed.
        """
        ...


class Passes(Protocol):
    """Further passes over the batch whose clean pass has just gone back.

    Every pass draws the random numbers that the clean pass drew, so that dropout leaves the same places out and the
    perturbation alone makes the difference. ``loss`` is None for the training objective.
    """

    def look(self, loss: Loss) -> tuple[Tensor, list[Met]]:
        """A loss without a perturbation and without a gradient, and what was met on the way."""
        ...

    def gradients(self, deltas: Deltas, loss: Loss | None = None) -> Deltas:
        """The gradient of a loss by its perturbations. No weight gets one."""
        ...

    def train(self, deltas: Deltas, share: float, loss: Loss | None = None, wants_gradients: bool = False) -> Deltas:
        """Adds ``share`` of the gradient of a perturbed loss to that of the weights.

        Returns:
            The gradients by the perturbations where they are wanted, else None for each.
        """
        ...


class Method(Protocol):
    """How perturbations are found and trained on.

    Attributes:
        target: What is perturbed.
        reads_gradient: Whether it needs the gradient of the clean loss by the target, which the clean pass then keeps.
        draws: Whether it draws random numbers of its own.
    """

    @property
    def target(self) -> Target: ...

    @property
    def reads_gradient(self) -> bool: ...

    @property
    def draws(self) -> bool: ...

    def train(self, passes: Passes, met: Sequence[Met], predict: Loss, generators: Generators) -> None:
        """Runs its passes over one batch.

        Args:
            passes: Runs one.
            met: What the clean pass met.
            predict: Logits ``(N, C)`` of the batch, ``-inf`` where an item is no candidate.
            generators: Sources of its draws.
        """
        ...


class Generators:
    """A source of random numbers on every device, from one seed.

    Args:
        seed: The seed; None for a method that draws nothing.
    """

    def __init__(self, seed: int | None) -> None:
        self.seed = seed
        self._made: dict[torch.device, torch.Generator] = {}

    def on(self, device: torch.device) -> torch.Generator:
        """The source of a device.

        Raises:
            ValueError: If there is no seed.
        """
        if self.seed is None:
            raise UserError("a method that draws random numbers must say so in `draws`, got False.")
        if device not in self._made:
            self._made[device] = torch.Generator(device).manual_seed(self.seed)
        return self._made[device]


def check_above_zero(**values: float) -> None:
    """Refuses options at or below zero.

    Raises:
        ValueError: Names the option.
    """
    for name, value in values.items():
        if not value > 0:
            raise UserError(f"adversarial.{name} must be above 0, got {value}; adversarial=none trains without.")
