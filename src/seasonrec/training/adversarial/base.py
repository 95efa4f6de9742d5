"""Interfaces of adversarial training: `Adversarial` for the training module, and `Method` for the callback."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import lightning as L
import torch
from torch import Tensor

from seasonrec.errors import UserError
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.training.adversarial.shifts import Deltas, TargetCall
from seasonrec.training.adversarial.targets import Target

Loss = Callable[[], Tensor]
"""Computes a scalar of the current batch with the current model."""


class Adversarial(Protocol):
    """Training on perturbed inputs: a frozen dataclass of options for the training module."""

    def callbacks(self, model: SeasonalRecommender) -> list[L.Callback]:
        """Returns the callbacks that run it, for the module's trainer.

        Raises:
            ValueError: If the model lacks the target of the perturbation.
        """
        ...


class Passes(Protocol):
    """Further passes over a batch, after its clean pass (without perturbation) and the backward pass.

    Every pass draws the same random numbers as the clean pass. Dropout then drops the same places, so that the passes
    differ in the perturbation only. ``loss`` is None for the training objective.
    """

    def look(self, loss: Loss) -> tuple[Tensor, list[TargetCall]]:
        """Returns a loss without perturbation and gradient, and the calls of the target in this pass."""
        ...

    def gradients(self, deltas: Deltas, loss: Loss | None = None) -> Deltas:
        """Returns the gradient of a loss by its perturbations; the weights get no gradient."""
        ...

    def train(self, deltas: Deltas, share: float, loss: Loss | None = None, wants_gradients: bool = False) -> Deltas:
        """Adds ``share`` of the gradient of a perturbed loss to that of the weights.

        Returns:
            The gradients by the perturbations, or None for each if they are not wanted.
        """
        ...


class Method(Protocol):
    """A method that finds perturbations and trains on them.

    Attributes:
        target: Vectors that are perturbed.
        reads_gradient: Whether it needs the gradient of the clean loss by the target; the clean pass then keeps it.
        draws: Whether it draws random numbers of its own.
    """

    @property
    def target(self) -> Target: ...

    @property
    def reads_gradient(self) -> bool: ...

    @property
    def draws(self) -> bool: ...

    def train(self, passes: Passes, calls: Sequence[TargetCall], predict: Loss, generators: Generators) -> None:
        """Runs its passes over one batch.

        Args:
            passes: Runs the passes.
            calls: Calls of the target in the clean pass.
            predict: Returns logits ``(N, C)`` of the batch, ``-inf`` where an item is no candidate.
            generators: Sources of its random numbers.
        """
        ...


class Generators:
    """Sources of random numbers, one per device, from one seed.

    Args:
        seed: Seed; None for a method that draws nothing.
    """

    def __init__(self, seed: int | None) -> None:
        self.seed = seed
        self._made: dict[torch.device, torch.Generator] = {}

    def on(self, device: torch.device) -> torch.Generator:
        """Returns the source of a device.

        Raises:
            ValueError: If there is no seed.
        """
        if self.seed is None:
            raise UserError("a method that draws random numbers must say so in `draws`, got False.")
        if device not in self._made:
            self._made[device] = torch.Generator(device).manual_seed(self.seed)
        return self._made[device]
