"""How the gradients of the tasks lie to each other while they train together."""

from __future__ import annotations

import csv
import io
from itertools import combinations
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor

from seasonrec.atomic import write_text
from seasonrec.errors import UserError
from seasonrec.training.balancing.gradients import TaskGradients
from seasonrec.training.balancing.support import check_each_gradient

COLUMNS = ("epoch", "step", "task_a", "task_b", "cosine")
SWITCH = "objective.interference_every_steps=0"

Line = tuple[int, int, str, str, float]
"""Epoch (from 1), optimiser steps taken before, two tasks, and the cosine of their gradients."""


class TaskInterference(L.Callback):
    """Measures every few steps the cosine of the gradients of each two tasks; below 0 they undo each other.

    The gradients are those of the bare losses, the time-series task's among them, by the weights that more than one
    task trains. They are taken from the graph of the step itself, before it goes back through it: no further forward
    pass, no random number, and no number of the training changes. A measurement costs a backward pass for every task.
    A task that says nothing in a batch is left out of it. Of several processes the first measures its own batch.

    What was measured is part of a checkpoint, so that a run that was killed goes on with the same lines. Each epoch
    leaves ``interference.csv`` with the columns ``epoch, step, task_a, task_b, cosine``, whole or not at all.

    Args:
        every_steps: Optimiser steps between two measurements, at least 1. Of the batches of a step the first counts.
        path: The file.

    Raises:
        ValueError: At the start of training, if there are fewer than two tasks, or the run's gradients cannot be had.

    References:
        Yu et al., Gradient Surgery for Multi-Task Learning, NeurIPS 2020, section 2.2: conflicting gradients.
    """

    def __init__(self, every_steps: int, path: Path) -> None:
        self.every_steps = every_steps
        self.path = path
        self.lines: list[Line] = []
        self._measured_step = -1

    def state_dict(self) -> dict[str, Any]:
        return {"lines": [list(line) for line in self.lines]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.lines = [tuple(line) for line in state_dict["lines"]]

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        asker, names = "objective.interference_every_steps", (*pl_module.tasks, *pl_module.series)
        if len(names) < 2:
            raise UserError(
                f"{asker} compares the gradients of tasks and needs at least two, got {', '.join(names)} alone; add "
                f"one with task=[...], or set {SWITCH}."
            )
        check_each_gradient(trainer, pl_module, asker, SWITCH)
        if isinstance(trainer.strategy, ModelParallelStrategy):
            raise UserError(
                f"{asker} needs the whole of every gradient in one process, got trainer.strategy=fsdp; choose "
                f"trainer.strategy=ddp, or set {SWITCH}."
            )

    def on_before_backward(self, trainer: L.Trainer, pl_module: L.LightningModule, loss: Tensor) -> None:
        losses, step = pl_module.batch_losses, trainer.global_step
        if losses is None or step % self.every_steps or step == self._measured_step or not trainer.is_global_zero:
            return
        self._measured_step = step
        tasks = {**losses.tasks, **losses.series}
        gradients = TaskGradients.of(list(tasks.values()), pl_module.model.parameters(), keep_graph=True)
        for (one, other), cosine in cosines(tuple(tasks), gradients.gramian()).items():
            self.lines.append((trainer.current_epoch + 1, step, one, other, cosine))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.is_global_zero:
            write_lines(self.path, self.lines)


def cosines(tasks: tuple[str, ...], gramian: Tensor) -> dict[tuple[str, str], float]:
    """The cosine of each two gradients, from their inner products ``(K, K)``; without those that are 0."""
    products = gramian.cpu()
    lengths = products.diagonal().sqrt()
    return {
        (tasks[i], tasks[j]): float(products[i, j] / (lengths[i] * lengths[j]))
        for i, j in combinations(range(len(tasks)), 2)
        if lengths[i] > 0 and lengths[j] > 0
    }


def write_lines(path: Path, lines: list[Line]) -> None:
    """Writes what was measured, at once or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((*line[:4], f"{line[4]:.6f}") for line in lines)
    write_text(path, text.getvalue())
