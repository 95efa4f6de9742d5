"""Balancings that combine the gradients of several tasks into one, to resolve conflicts between tasks."""

from __future__ import annotations

from collections.abc import Callable

import lightning as L
import torch
from torch import Tensor

from seasonrec.training.balancing.base import Coefficients, SeveralTasks
from seasonrec.training.balancing.support import GradientBalancingCheck

Weighting = Callable[[Tensor], Tensor]
"""Function of TorchJD from the ``(K, K)`` inner products of ``K`` gradients to the ``(K,)`` weights of their sum."""


class Aggregation(SeveralTasks):
    """Weighted sum of the tasks' gradients, with weights that a method of TorchJD computes from their inner products.

    Model weights that only one task trains get that task's gradient unchanged, as in Sener and Koltun. The inner
    products are divided by their trace, because a method's guards against small numbers would stop training with
    small gradients. A task without a gradient in a batch is left out, because MGDA would otherwise take no step.

    Args:
        weighting: The method.
        gives_a_mean: Whether its weights are those of a mean. They are then multiplied by the number of tasks, so that
            the step of agreeing tasks is as large as with ``fixed``.
        tasks: Names of the recommendation tasks.
    """

    def __init__(self, weighting: Weighting, *, gives_a_mean: bool, tasks: tuple[str, ...]) -> None:
        super().__init__(tasks=tasks)
        self.weighting = weighting
        self.gives_a_mean = gives_a_mean

    def callbacks(self) -> list[L.Callback]:
        return [GradientBalancingCheck()]

    def coefficients(self, losses: Tensor, gramian: Tensor) -> Coefficients:
        products = gramian.detach().cpu()
        if not bool(torch.isfinite(products).all()):
            raise FloatingPointError(
                f"the gradients of the tasks {', '.join(self.tasks)} must be finite, got the inner products "
                f"{products.tolist()}; lower optimizer.learning_rate."
            )
        is_active = products.diagonal() > 0
        shared = torch.zeros(len(products), dtype=products.dtype)
        if is_active.any():
            chosen = products[is_active][:, is_active]
            found = self.weighting(chosen / chosen.trace())
            shared[is_active] = found * len(found) if self.gives_a_mean else found
        return Coefficients(shared.to(gramian.device), torch.ones_like(shared).to(gramian.device))
