"""Uncertainty weighting: weights from a learned noise level of each task."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from seasonrec.ranges import Positive, ranged
from seasonrec.training.balancing.base import SeveralTasks, had_samples


@ranged("balancing")
class UncertaintyBalancing(SeveralTasks):
    """``exp(-s_k) L_k + s_k / 2`` with a log variance ``s_k`` per task, learned from 0 (weight 1).

    This is the paper's form for classification (equation 10). Its form for regression, ``exp(-s) L / 2 + s / 2``
    (equation 7), is the same function up to a constant, with ``s`` shifted by ``log 2``. So one form serves every loss,
    and all tasks start with the weight that ``fixed`` gives them. Losses must not be negative: ``s_k`` would fall
    without bound. A batch without samples of a task does not change its ``s_k``.

    Args:
        learning_rate_factor: Learning rate of the log variances, as a multiple of the model's. They move by about one
            learning rate per step, which is too slow for them to converge in a short run.

    Raises:
        ValueError: If the factor is not above 0, or there is only one task.

    References:
        Kendall, Gal and Cipolla, Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry and
        Semantics, CVPR 2018, equations 7 and 10.
    """

    def __init__(self, learning_rate_factor: Positive = 1.0, *, tasks: tuple[str, ...]) -> None:
        super().__init__(tasks=tasks)
        self.factor = learning_rate_factor
        self.scaled = nn.Parameter(torch.zeros(len(tasks)))
        """``s / factor``: a step of the optimiser moves ``s`` by ``factor`` times its size."""

    def weigh(self, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        pairs = zip(losses.items(), self.factor * self.scaled, strict=True)
        return {name: (-variance).exp() * loss + variance / 2 * had_samples(loss) for (name, loss), variance in pairs}

    def observe(self, losses: Mapping[str, Tensor]) -> None:
        self.refuse_negative(losses)

    def current(self) -> dict[str, Tensor]:
        return dict(zip(self.tasks, (-self.factor * self.scaled.detach()).exp(), strict=True))
