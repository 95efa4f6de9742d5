"""Callbacks that report the training: lines of progress, and the learning rate for the tracker."""

from __future__ import annotations

import time
from typing import Any

import lightning as L
from torch import Tensor

from seasonrec.training.module import RecommenderModule

LINES_PER_EPOCH = 20
"""Smallest number of values per epoch in the tracker's curve of the training loss."""


class LearningRate(L.Callback):
    """Logs the learning rate of the first group of weights if there is a tracker."""

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, *unused: Any) -> None:
        if trainer.loggers:
            pl_module.log("learning_rate", learning_rate(trainer), batch_size=1)


class LineProgress(L.Callback):
    """Progress in whole lines, for output that goes to a file.

    A line holds the mean of each training loss over the epoch's batches since the last start of the run, the seconds,
    the time left, and the learning rate; the line of a whole epoch also holds the validation metrics. The first
    process reports its own batches.

    Args:
        epochs: Largest number of epochs of the run.
        every_s: Smallest number of seconds between two lines within an epoch.
    """

    def __init__(self, epochs: int, every_s: float = 15.0) -> None:
        self.epochs = epochs
        self.every_s = every_s
        self._began_s = self._epoch_s = self._printed_s = 0.0
        self._batches = 0
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._began_s = self._epoch_s = self._printed_s = time.monotonic()  # a resume within an epoch starts none

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._epoch_s = self._printed_s = time.monotonic()
        self._sums, self._counts = {}, {}

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: RecommenderModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._batches += 1
        for name, loss in pl_module.step_losses.items():
            self._sums[name] = self._sums[name] + loss if name in self._sums else loss
            self._counts[name] = self._counts.get(name, 0) + 1
        if time.monotonic() - self._printed_s >= self.every_s:
            self._printed_s = time.monotonic()
            self._print(trainer, batch_idx + 1, f", batch {batch_idx + 1:,} of {trainer.num_training_batches:,}", {})

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        validation = {name: value for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
        self._print(trainer, int(trainer.num_training_batches), "", validation)

    def _print(self, trainer: L.Trainer, done: int, place: str, validation: dict[str, Tensor]) -> None:
        epoch, now_s = trainer.current_epoch, time.monotonic()
        means = {f"train/{name}": total / self._counts[name] for name, total in self._sums.items()}
        values = [f"{name} {float(value):.4f}" for name, value in sorted((means | validation).items())]
        batches_left = (self.epochs - epoch) * int(trainer.num_training_batches) - done
        left_s = (now_s - self._began_s) / max(1, self._batches) * batches_left
        times = f"{now_s - self._epoch_s:.0f} s, at most {left_s:.0f} s left"
        rate = f"learning rate {learning_rate(trainer):.2g}"
        print(f"epoch {epoch + 1} of {self.epochs}{place}: {', '.join(values)}; {times}, {rate}", flush=True)


def learning_rate(trainer: L.Trainer) -> float:
    """Returns the current learning rate of the first group of weights."""
    return float(trainer.optimizers[0].param_groups[0]["lr"])


def log_every(batches: object, accumulate: int) -> int:
    """Returns the optimiser steps between two values of a curve: 50, or fewer in a short epoch.

    Args:
        batches: Batches of an epoch; 50 if their number is not known.
        accumulate: Batches per step.
    """
    try:
        steps = len(batches) // accumulate  # type: ignore[arg-type]
    except TypeError:
        return 50
    return min(50, max(1, steps // LINES_PER_EPOCH))
