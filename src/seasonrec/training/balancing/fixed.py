"""Fixed task weights."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from seasonrec.errors import UserError
from seasonrec.ranges import Weight, ranged
from seasonrec.training.balancing.base import Balancing


@ranged("balancing")
class FixedBalancing(nn.Module, Balancing):
    """Fixed weight of every task's loss.

    Args:
        weights: Weight by task name, at or above 0. A task that is not named has the default of its head, see
            :class:`~seasonrec.models.task.base.TaskHead`; the next item has 1.

    Raises:
        ValueError: If a weight is negative or belongs to no task, or all are 0.
    """

    def __init__(self, weights: dict[str, Weight] | None = None, *, tasks: tuple[str, ...]) -> None:
        super().__init__()
        given = dict(weights or {})
        for name in given:
            if name not in tasks:
                raise UserError(
                    f"balancing.weights.{name} belongs to no recommendation task of this run, which has "
                    f"{', '.join(tasks)}; add it with task=[...], or remove its weight."
                )
        self.given = {name: float(weight) for name, weight in given.items()}
        self.weights = {name: self.given.get(name, 1.0) for name in tasks}
        if not sum(self.weights.values()) > 0:
            raise UserError(
                f"balancing.weights must not sum to 0, got {self.weights}: nothing would be learned; give at least one "
                "task a weight above 0."
            )

    def take_defaults(self, weights: Mapping[str, float]) -> None:
        self.weights = {name: self.given.get(name, weights[name]) for name in self.weights}

    def weigh(self, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: self.weights[name] * loss for name, loss in losses.items()}
