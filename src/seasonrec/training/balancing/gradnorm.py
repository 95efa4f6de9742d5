"""Weights that bring the tasks' gradients to one length, longer for tasks that learn slowly."""

from __future__ import annotations

from collections.abc import Mapping

import lightning as L
import torch
from torch import Tensor

from seasonrec.errors import UserError
from seasonrec.training.balancing.base import Coefficients, SeveralTasks
from seasonrec.training.balancing.support import OwnGradients

LEAST_WEIGHT = 1e-3
"""A step that is too long would make a weight negative, and the task would unlearn."""


class GradNorm(SeveralTasks):
    """Weights ``w_k`` that sum to ``K``, learnt so that all tasks train at a similar rate.

    With ``n_k`` the length of the gradient of ``L_k`` by the shared weights, those that more than one task trains, the
    target of ``w_k n_k`` is the mean of these over the tasks times ``r_k ** alpha``; ``r_k`` is the task's loss over
    its first loss, divided by the mean of that over the tasks. The weights take one step against
    ``sum_k |w_k n_k - target_k|`` with every step of the model, and are scaled to sum to ``K`` again. They are no part
    of the model's optimiser, so that its clipping, its decay and its schedule do not touch them.

    Args:
        alpha: How strongly slow tasks are pulled up; 0 makes all gradients equally long.
        learning_rate: Length of a step of the weights.

    Raises:
        ValueError: If an option lies outside its range, or there is one task alone.

    References:
        Chen et al., GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep Multitask Networks, ICML 2018,
        equations 1 and 2, algorithm 1. Departures: all shared weights in place of the last shared layer, which the
        paper takes to save time; the sum is divided by the mean of the ``n_k``, so that a learning rate does not mean
        another thing where losses have another unit; a weight stays above 0.
    """

    weights: Tensor
    first: Tensor
    push: Tensor
    pushes: Tensor

    def __init__(self, alpha: float = 1.5, learning_rate: float = 0.025, *, tasks: tuple[str, ...]) -> None:
        super().__init__(tasks=tasks)
        if not alpha >= 0:
            raise UserError(f"balancing.alpha must be at least 0, got {alpha}; try 1.5.")
        if not learning_rate > 0:
            raise UserError(f"balancing.learning_rate must be above 0, got {learning_rate}; try 0.025.")
        self.alpha = alpha
        self.learning_rate = learning_rate
        self.register_buffer("weights", torch.ones(len(tasks), dtype=torch.float64))
        self.register_buffer("first", torch.zeros(len(tasks), dtype=torch.float64))  # 0: not yet known
        self.register_buffer("push", torch.zeros(len(tasks), dtype=torch.float64))  # of the batches of a step
        self.register_buffer("pushes", torch.zeros((), dtype=torch.int64))

    def weigh(self, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        weights = self.current()
        return {name: weights[name].to(loss) * loss for name, loss in losses.items()}

    def observe(self, losses: Mapping[str, Tensor]) -> None:
        self.refuse_negative(losses)

    def current(self) -> dict[str, Tensor]:
        return dict(zip(self.tasks, self.weights, strict=True))

    def callbacks(self) -> list[L.Callback]:
        return [OwnGradients(), _Step(self)]

    def coefficients(self, losses: Tensor, gramian: Tensor) -> Coefficients:
        losses, lengths = losses.double(), gramian.diagonal().sqrt()
        self.first.copy_(torch.where(self.first > 0, self.first, losses))
        speaks = (lengths > 0) & (losses > 0)
        if bool(speaks.any()):
            self.push[speaks] += self._push(losses[speaks], lengths[speaks], speaks)
        self.pushes += 1
        return Coefficients(self.weights.clone(), self.weights.clone())

    def step(self) -> None:
        """Moves the weights by what the batches since the last step have asked for."""
        moved = self.weights - self.learning_rate * self.push / self.pushes.clamp(min=1)
        moved = moved.clamp(min=LEAST_WEIGHT)
        self.weights.copy_(moved * (len(self.tasks) / moved.sum()))
        self.push.zero_()
        self.pushes.zero_()

    def _push(self, losses: Tensor, lengths: Tensor, speaks: Tensor) -> Tensor:
        """The gradient by the weights of the tasks that have something to say in a batch; targets are constants."""
        weighed = self.weights[speaks] * lengths
        progress = losses / self.first[speaks]
        target = weighed.mean() * (progress / progress.mean()) ** self.alpha
        return lengths * torch.sign(weighed - target) / lengths.mean()


class _Step(L.Callback):
    """Moves the weights once with every step of the model."""

    def __init__(self, balancing: GradNorm) -> None:
        self.balancing = balancing

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: object) -> None:
        self.balancing.step()
