"""Interface of a balancing of task losses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import lightning as L
import torch
from torch import Tensor, nn

from seasonrec.errors import UserError


class Balancing(Protocol):
    """Weights of the recommendation tasks' losses.

    A balancing is an ``nn.Module``: learned weights are optimised and saved with the model, and its state is kept in
    buffers. Its constructor takes its options, then ``*, tasks: tuple[str, ...]``, the names of the ``K``
    recommendation tasks. It leaves out the time-series task and penalties, whose weights the user sets.
    """

    def weigh(self, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns ``w_k L_k`` of each of ``K`` losses, scalars by name; may be called more than once per batch."""
        weights = self.current()
        return {name: weights[name].to(loss) * loss if weights else loss for name, loss in losses.items()}

    def take_defaults(self, weights: Mapping[str, float]) -> None:
        """Receives the tasks' default weights once, before training; a balancing that finds weights ignores them."""
        return

    def observe(self, losses: Mapping[str, Tensor]) -> None:
        """Receives each training batch's losses once, without gradient, before the backward pass."""
        return

    def current(self) -> dict[str, Tensor]:
        """Returns the weights ``w_k`` of the next batch by name, for the log; empty if they are constant."""
        return {}

    def callbacks(self) -> list[L.Callback]:
        """Returns the callbacks that the balancing needs, for example for the end of an epoch."""
        return []


@dataclass(frozen=True)
class Coefficients:
    """Coefficients of the gradients of ``K`` tasks in their sum.

    Args:
        shared: ``(K,)``, for the model weights that more than one task trains.
        own: ``(K,)``, for the model weights that only one task trains.
    """

    shared: Tensor
    own: Tensor


@runtime_checkable
class GradientBalancing(Protocol):
    """A balancing that also reads the gradient of each task."""

    def coefficients(self, losses: Tensor, gramian: Tensor) -> Coefficients:
        """Returns the coefficients of the tasks' gradients.

        Args:
            losses: ``(K,)``, of the current batch.
            gramian: ``(K, K)`` inner products of the tasks' gradients by the shared weights.
        """
        ...


def had_samples(loss: Tensor) -> Tensor:
    """Returns 1 where a batch had samples of a task, else 0; only the mean over no samples is exactly 0."""
    return (loss.detach() != 0).to(loss)


class SeveralTasks(nn.Module, Balancing):
    """Base class of balancings of two tasks or more.

    Args:
        tasks: Names of the recommendation tasks.

    Raises:
        ValueError: If there is only one task.
    """

    def __init__(self, *, tasks: tuple[str, ...]) -> None:
        super().__init__()
        if len(tasks) < 2:
            raise UserError(
                f"this balancing weighs recommendation tasks against each other and needs at least two, got "
                f"{', '.join(tasks)} alone; add one with task=[...], or set balancing=fixed."
            )
        self.tasks = tasks

    def refuse_negative(self, losses: Mapping[str, Tensor]) -> None:
        """Checks that no loss is below 0; ratios and logarithms of losses need this.

        Raises:
            ValueError: If one is; the message names the first such task.
        """
        if bool((torch.stack(list(losses.values())) < 0).any()):
            name, loss = next((name, loss.item()) for name, loss in losses.items() if loss < 0)
            raise UserError(
                f"this balancing needs losses at or above 0, got {loss:.6g} for the task {name}; set balancing=fixed, "
                "or one that reads gradients only (pcgrad, cagrad, mgda, upgrad)."
            )
