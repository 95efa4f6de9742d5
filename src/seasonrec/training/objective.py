"""The training objective: recommendation tasks, the time-series task, and penalties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from seasonrec.errors import UserError
from seasonrec.ranges import CountOrZero, Weight, ranged


@ranged("objective")
@dataclass(frozen=True)
class Objective:
    """``lambda_mt * sum_k w_k L_k + lambda_t * L_t``, each loss a mean over its own samples.

    Args:
        lambda_mt: Weight of the recommendation tasks ``L_k``; the balancing gives their own weights ``w_k``.
        lambda_t: Weight of the time-series task ``L_t``, the demand.
        interference_every_steps: Steps between measurements of the conflicts between the tasks' gradients, see
            :class:`~seasonrec.training.interference.TaskInterference`; 0 measures nothing.

    Raises:
        ValueError: If a weight is negative, or both are 0, or steps are negative.
    """

    lambda_mt: Weight = 1.0
    lambda_t: Weight = 1.0
    interference_every_steps: CountOrZero = 0

    def __post_init__(self) -> None:
        if self.lambda_mt + self.lambda_t == 0:
            raise UserError(
                "objective.lambda_mt and objective.lambda_t must not both be 0: nothing would be learned; give one of "
                "them a value above 0."
            )


@dataclass(frozen=True)
class Losses:
    """The losses of one batch, scalars by name.

    Args:
        tasks: Recommendation tasks ``L_k``.
        series: The time-series task ``L_t``, or empty.
        penalties: Terms that components add to the objective without a weight.
    """

    tasks: Mapping[str, Tensor]
    series: Mapping[str, Tensor]
    penalties: Mapping[str, Tensor]

    def by_name(self) -> dict[str, Tensor]:
        """Returns all losses and penalties."""
        return {**self.tasks, **self.series, **self.penalties}

    def terms(self, weighed: Mapping[str, Tensor], objective: Objective) -> dict[str, Tensor]:
        """Returns the terms of the objective by name, from the ``w_k L_k`` of each recommendation task."""
        return {
            **{name: objective.lambda_mt * loss for name, loss in weighed.items()},
            **{name: objective.lambda_t * loss for name, loss in self.series.items()},
            **self.penalties,
        }


def total(terms: Mapping[str, Tensor]) -> Tensor:
    """Returns the sum of scalars by name."""
    return torch.stack(list(terms.values())).sum()
