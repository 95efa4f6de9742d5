"""What a balancing of task losses is to the training module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import lightning as L
import torch
from torch import Tensor, nn

from seasonrec.errors import UserError


class Balancing(Protocol):
    """Weighs the losses of the recommendation tasks against each other.

    An ``nn.Module``, so that weights which are learnt are optimised and saved with the model, and what is remembered
    is a buffer. Its constructor takes its options, then ``*, tasks: tuple[str, ...]``, the names of the ``K``
    recommendation tasks. It says nothing of the time-series task and of penalties, whose weights are the user's.
    """

    def weigh(self, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """``w_k L_k`` of each of ``K`` losses, scalars by name; may be asked more than once for a batch."""
        ...

    def observe(self, losses: Mapping[str, Tensor]) -> None:
        """Is told the losses of each training batch once, without gradient, before the batch's gradients are taken."""
        ...

    def current(self) -> dict[str, Tensor]:
        """The weights ``w_k`` of the next batch by name, for the log; empty where they stay as they are."""
        ...

    def callbacks(self) -> list[L.Callback]:
        """What it must be told of the training, for example the end of an epoch."""
        ...


@dataclass(frozen=True)
class Coefficients:
    """What the gradients of ``K`` tasks are multiplied with before they are added up.

    Args:
        shared: ``(K,)``, for the weights of the model that more than one task trains.
        own: ``(K,)``, for the weights that one task trains alone.
    """

    shared: Tensor
    own: Tensor


@runtime_checkable
class GradientBalancing(Protocol):
    """A balancing that looks at the gradient of each task, and not at the losses alone."""

    def coefficients(self, losses: Tensor, gramian: Tensor) -> Coefficients:
        """How the tasks' gradients are added up.

        Args:
            losses: ``(K,)``, of the batch at hand.
            gramian: ``(K, K)`` inner products of the tasks' gradients by the shared weights.
        """
        ...


def had_samples(loss: Tensor) -> Tensor:
    """1 where a batch had samples of a task, else 0: the mean over none is 0 exactly, and no other is."""
    return (loss.detach() != 0).to(loss)


class SeveralTasks(nn.Module):
    """A balancing of two tasks or more; weighs nothing, remembers nothing.

    Args:
        tasks: Names of the recommendation tasks.

    Raises:
        ValueError: If there is one task alone.
    """

    def __init__(self, *, tasks: tuple[str, ...]) -> None:
        super().__init__()
        if len(tasks) < 2:
            raise UserError(
                f"this balancing weighs recommendation tasks against each other and needs at least two, got "
                f"{', '.join(tasks)} alone; add one with task=[...], or set balancing=fixed."
            )
        self.tasks = tasks

    def weigh(self, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(losses)

    def observe(self, losses: Mapping[str, Tensor]) -> None:
        return

    def current(self) -> dict[str, Tensor]:
        return {}

    def callbacks(self) -> list[L.Callback]:
        return []

    def refuse_negative(self, losses: Mapping[str, Tensor]) -> None:
        """Refuses losses below 0, for which a ratio or a logarithm of losses means nothing.

        Raises:
            ValueError: Names the first task.
        """
        if bool((torch.stack(list(losses.values())) < 0).any()):
            name, loss = next((name, loss.item()) for name, loss in losses.items() if loss < 0)
            raise UserError(
                f"this balancing needs losses at or above 0, got {loss:.6g} for the task {name}; set balancing=fixed, "
                "or one that looks at gradients alone (pcgrad, cagrad, mgda, upgrad)."
            )
