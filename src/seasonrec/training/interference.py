"""Interference of tasks: cosines between their gradients during training."""

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
from seasonrec.training.balancing.support import check_per_task_gradients

COLUMNS = ("epoch", "step", "task_a", "task_b", "cosine")
OFF = "objective.interference_every_steps=0"

Line = tuple[int, int, str, str, float]
"""Epoch (from 1), optimiser steps before, two tasks, and the cosine of their gradients."""


class TaskInterference(L.Callback):
    """Regular measurement of the cosine between the gradients of every two tasks; a negative cosine is a conflict.

    The gradients are those of the unweighted losses, including the time-series task's, by the weights that more than
    one task trains. A measurement costs one backward pass per task and changes no result of the training. A task
    without a gradient in a batch is left out. With several processes, the first measures its own batch. Checkpoints
    hold the measurements. Each epoch writes ``interference.csv`` with the columns
    ``epoch, step, task_a, task_b, cosine``.

    Args:
        every_steps: Optimiser steps between measurements, at least 1; the first batch of a step is measured.
        path: File to write.

    Raises:
        ValueError: At the start of training, with fewer than two tasks or without per-task gradients.

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
        option, names = "objective.interference_every_steps", (*pl_module.tasks, *pl_module.series)
        if len(names) < 2:
            raise UserError(
                f"{option} compares the gradients of tasks and needs at least two, got {', '.join(names)} alone; add "
                f"one with task=[...], or set {OFF}."
            )
        check_per_task_gradients(trainer, pl_module, option, OFF)
        if isinstance(trainer.strategy, ModelParallelStrategy):
            raise UserError(
                f"{option} needs the whole of every gradient in one process, got trainer.strategy=fsdp; choose "
                f"trainer.strategy=ddp, or set {OFF}."
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
            _write(self.path, self.lines)


def cosines(tasks: tuple[str, ...], gramian: Tensor) -> dict[tuple[str, str], float]:
    """Returns the cosine of every two gradients from their inner products ``(K, K)``; gradients of 0 are left out."""
    products = gramian.cpu()
    lengths = products.diagonal().sqrt()
    return {
        (tasks[i], tasks[j]): float(products[i, j] / (lengths[i] * lengths[j]))
        for i, j in combinations(range(len(tasks)), 2)
        if lengths[i] > 0 and lengths[j] > 0
    }


def _write(path: Path, lines: list[Line]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((*line[:4], f"{line[4]:.6f}") for line in lines)
    write_text(path, text.getvalue())
