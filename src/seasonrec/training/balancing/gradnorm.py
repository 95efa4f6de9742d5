"""GradNorm: weights that equalise the tasks' gradient norms, with larger norms for tasks that learn slowly."""

from __future__ import annotations

from collections.abc import Mapping

import lightning as L
import torch
from torch import Tensor

from seasonrec.ranges import Rate, Weight, ranged
from seasonrec.training.balancing.base import Coefficients, SeveralTasks
from seasonrec.training.balancing.support import GradientBalancingCheck

LEAST_WEIGHT = 1e-3
"""Smallest weight; a step that is too long would otherwise make a weight negative."""


@ranged("balancing")
class GradNorm(SeveralTasks):
    """Weights ``w_k`` that sum to ``K``, learned so that all tasks train at a similar rate.

    ``n_k`` is the norm of the gradient of ``L_k`` by the shared weights, those that more than one task trains. The
    target of ``w_k n_k`` is its mean over the tasks times ``r_k ** alpha``; ``r_k`` is the task's loss over its first
    loss, divided by the mean of that ratio over the tasks. With every step of the model, the weights take one step
    against ``sum_k |w_k n_k - target_k|`` and are scaled to sum to ``K`` again. The model's optimiser does not hold
    them, so that its clipping, decay and schedule do not affect them.

    Args:
        alpha: Strength of the preference for slow tasks; 0 gives all gradients the same norm.
        learning_rate: Step size of the weights.

    Raises:
        ValueError: If an option lies outside its range, or there is only one task.

    References:
        Chen et al., GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep Multitask Networks, ICML 2018,
        equations 1 and 2, algorithm 1. Departures: all shared weights instead of the last shared layer, which the
        paper uses to save time; the sum is divided by the mean of the ``n_k``, so that the learning rate does not
        depend on the unit of the losses; a weight stays above 0.
    """

    weights: Tensor
    first: Tensor
    push: Tensor
    pushes: Tensor

    def __init__(self, alpha: Weight = 1.5, learning_rate: Rate = 0.025, *, tasks: tuple[str, ...]) -> None:
        super().__init__(tasks=tasks)
        self.alpha = alpha
        self.learning_rate = learning_rate
        self.register_buffer("weights", torch.ones(len(tasks), dtype=torch.float64))
        self.register_buffer("first", torch.zeros(len(tasks), dtype=torch.float64))  # 0: not yet known
        self.register_buffer("push", torch.zeros(len(tasks), dtype=torch.float64))  # sum over a step's batches
        self.register_buffer("pushes", torch.zeros((), dtype=torch.int64))

    def observe(self, losses: Mapping[str, Tensor]) -> None:
        self.refuse_negative(losses)

    def current(self) -> dict[str, Tensor]:
        return dict(zip(self.tasks, self.weights, strict=True))

    def callbacks(self) -> list[L.Callback]:
        return [GradientBalancingCheck(), _Step(self)]

    def coefficients(self, losses: Tensor, gramian: Tensor) -> Coefficients:
        losses, lengths = losses.double(), gramian.diagonal().sqrt()
        self.first.copy_(torch.where(self.first > 0, self.first, losses))
        is_active = (lengths > 0) & (losses > 0)
        if bool(is_active.any()):
            self.push[is_active] += self._push(losses[is_active], lengths[is_active], is_active)
        self.pushes += 1
        return Coefficients(self.weights.clone(), self.weights.clone())

    def step(self) -> None:
        """Moves the weights by the mean push of the batches since the last step."""
        moved = self.weights - self.learning_rate * self.push / self.pushes.clamp(min=1)
        moved = moved.clamp(min=LEAST_WEIGHT)
        self.weights.copy_(moved * (len(self.tasks) / moved.sum()))
        self.push.zero_()
        self.pushes.zero_()

    def _push(self, losses: Tensor, lengths: Tensor, is_active: Tensor) -> Tensor:
        """Returns the gradient by the weights ``w_k`` of the active tasks; the targets are constants."""
        weighed = self.weights[is_active] * lengths
        progress = losses / self.first[is_active]
        target = weighed.mean() * (progress / progress.mean()) ** self.alpha
        return lengths * torch.sign(weighed - target) / lengths.mean()


class _Step(L.Callback):
    def __init__(self, balancing: GradNorm) -> None:
        self.balancing = balancing

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: object) -> None:
        self.balancing.step()
