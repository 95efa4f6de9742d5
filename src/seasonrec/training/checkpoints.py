"""What a run keeps on disk while it trains: its whole state, and the best epoch's weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

from seasonrec.training.module import RecommenderModule
from seasonrec.training.strategies import SharedWeights
from seasonrec.training.weights import load_weights, save_state, save_weights


def best_weights(folder: Path, epoch: int) -> Path:
    """File of the best epoch's weights.

    Args:
        folder: The checkpoints of the run.
        epoch: Number of the epoch, from 0.
    """
    return folder / f"best_epoch_{epoch + 1}.safetensors"


class RunCheckpoints(Checkpoint):
    """Writes ``last.ckpt`` every few steps and after each epoch, and the best epoch's weights.

    An epoch's last step is not saved before its validation: Lightning 2.6 takes such a checkpoint for a whole epoch,
    and a run started again from it would never validate that epoch. The state after the epoch holds the verdict on it.

    Args:
        folder: Where the files lie.
        metric: Validation metric that picks the epoch, as logged.
        mode: Whether ``"min"`` or ``"max"`` of it is best.
        every_steps: Optimiser steps between two checkpoints within an epoch.
    """

    def __init__(self, folder: Path, metric: str, mode: Literal["min", "max"], every_steps: int) -> None:
        self.folder = folder
        self.metric = metric
        self.sign = 1.0 if mode == "min" else -1.0
        self.every_steps = every_steps
        self.best_epoch = -1
        self.best_value = math.nan
        self._saved_step = 0

    @property
    def last(self) -> Path:
        """The whole state: weights, optimiser, schedule, counters, random state, place in the data."""
        return self.folder / "last.ckpt"

    def state_dict(self) -> dict[str, Any]:
        return {"best_epoch": self.best_epoch, "best_value": self.best_value}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_epoch, self.best_value = state_dict["best_epoch"], state_dict["best_value"]

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        due = trainer.global_step % self.every_steps == 0 and trainer.global_step != self._saved_step
        if due and not trainer.is_last_batch:
            self._save(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: RecommenderModule) -> None:
        value = float(trainer.callback_metrics[self.metric])
        if math.isnan(self.best_value) or self.sign * value < self.sign * self.best_value:
            self.best_epoch, self.best_value = trainer.current_epoch, value
            self._save_weights(trainer, pl_module)
        self._save(trainer)
        if trainer.is_global_zero:
            self._remove_others()  # only now: until last.ckpt names the new best, a kill must leave the old one

    def load_best(self, module: RecommenderModule) -> None:
        """Puts the best epoch's weights into a module."""
        load_weights(self._weights(self.best_epoch), module.model)

    def _weights(self, epoch: int) -> Path:
        return best_weights(self.folder, epoch)

    def _save_weights(self, trainer: L.Trainer, module: RecommenderModule) -> None:
        path = self._weights(self.best_epoch)
        if isinstance(trainer.strategy, SharedWeights):
            state = trainer.strategy.lightning_module_state_dict()  # from every process, to the first
            if trainer.is_global_zero:
                model = {k.removeprefix("model."): value for k, value in state.items() if k.startswith("model.")}
                save_state(path, model)
        elif trainer.is_global_zero:
            save_weights(path, module.model)

    def _save(self, trainer: L.Trainer) -> None:
        trainer.save_checkpoint(self.last)
        self._saved_step = trainer.global_step

    def _remove_others(self) -> None:
        for path in self.folder.glob("best_epoch_*.safetensors"):
            if path != self._weights(self.best_epoch):
                path.unlink()
