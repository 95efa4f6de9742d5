"""Balancings that make one gradient of several, so that tasks which pull apart do not undo each other."""

from __future__ import annotations

from collections.abc import Callable

import lightning as L
import torch
from torch import Tensor

from seasonrec.training.balancing.base import Coefficients, SeveralTasks
from seasonrec.training.balancing.support import OwnGradients

Weighting = Callable[[Tensor], Tensor]
"""``(K, K)`` inner products of ``K`` gradients to the ``(K,)`` weights of their sum, as TorchJD gives them."""


class Aggregation(SeveralTasks):
    """Adds up the tasks' gradients by the weights that a method of TorchJD finds from their inner products.

    Weights of the model that one task trains alone get that task's gradient as it is, as in Sener and Koltun. The inner
    products are divided by their trace: every method here gives the same for gradients of another length, but for its
    guards against small numbers, which would else stop training where gradients are small. A task that says nothing in
    a batch (a gradient of 0) is left out of it: MGDA would not move at all.

    Args:
        weighting: The method.
        gives_a_mean: Whether its weights are those of a mean. They are then multiplied by the number of tasks, so that
            tasks which agree add up as with ``fixed``, and the step keeps its size beside ``lambda_t`` and penalties.
        tasks: Names of the recommendation tasks.
    """

    def __init__(self, weighting: Weighting, *, gives_a_mean: bool, tasks: tuple[str, ...]) -> None:
        super().__init__(tasks=tasks)
        self.weighting = weighting
        self.gives_a_mean = gives_a_mean

    def callbacks(self) -> list[L.Callback]:
        return [OwnGradients()]

    def coefficients(self, losses: Tensor, gramian: Tensor) -> Coefficients:
        products = gramian.detach().cpu()  # a few numbers, looked at one by one
        if not bool(torch.isfinite(products).all()):
            raise FloatingPointError(
                f"the gradients of the tasks {', '.join(self.tasks)} must be finite, got the inner products "
                f"{products.tolist()}; lower optimizer.learning_rate."
            )
        speaks = products.diagonal() > 0
        shared = torch.zeros(len(products), dtype=products.dtype)
        if speaks.any():
            chosen = products[speaks][:, speaks]
            found = self.weighting(chosen / chosen.trace())
            shared[speaks] = found * len(found) if self.gives_a_mean else found
        return Coefficients(shared.to(gramian.device), torch.ones_like(shared).to(gramian.device))
