"""Baseline forecast of a user's amounts: the distribution of the user's earlier amounts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seasonrec.batches.context.own_amounts import OwnAmounts, OwnGapsContext, OwnValuesContext
from seasonrec.models.components import ContextValues
from seasonrec.models.kernels.matmul import Linear, zeroed


class OwnBaseline:
    """A normal distribution of the logarithm of a user's amounts, with features for a network.

    Args:
        context: Context of the user's amounts.
        prior: Weight of the overall distribution, as a number of amounts, above 0.
    """

    width = 4
    """Number of features."""

    def __init__(self, context: OwnValuesContext | OwnGapsContext, prior: float) -> None:
        self.context = context
        self.prior = prior

    def __call__(self, context: ContextValues, usual: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the distribution of each request's user.

        Args:
            context: The contexts of the head.
            usual: ``(2,)`` mean and standard deviation of the logarithms of all users' amounts.

        Returns:
            ``(N,)`` mean, ``(N,)`` standard deviation, and ``(N, 4)`` features of order one: mean and standard
            deviation relative to ``usual``, the number of amounts, and the time since the last basket.
        """
        own: OwnAmounts = context[self.context.name]
        mean, spread = own.start(usual, self.prior)
        columns = [
            (mean - usual[0]) / usual[1],
            torch.log(spread / usual[1]),
            torch.log1p(own.count) / 3.0,
            torch.log1p(own.since_days) / 2.0,
        ]
        return mean, spread, torch.stack(columns, dim=1)


def own_correction(width: int, hidden_dim: int, out_dim: int) -> nn.Sequential:
    """Builds a network over a query ``(N, D)`` and the features of :class:`OwnBaseline`; its output starts at 0."""
    last = zeroed(Linear(hidden_dim, out_dim))
    return nn.Sequential(Linear(width + OwnBaseline.width, hidden_dim), nn.GELU(), last)
