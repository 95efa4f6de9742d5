"""Files of a run in training: its whole state, and the best epoch's weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import lightning as L
from lightning.pytorch.callbacks import Checkpoint
from torch import nn

from seasonrec.digests import check, seal
from seasonrec.models.language.lookup import frozen_names
from seasonrec.training.checkpointing.last import LAST, resumable
from seasonrec.training.checkpointing.weights import check_left_out, load_weights, save_state, save_weights
from seasonrec.training.distributed.strategies import SharedWeights
from seasonrec.training.module import MAIN, RecommenderModule


def best_weights(folder: Path, epoch: int, prefix: str = MAIN) -> Path:
    """Returns the file of the best epoch's weights.

    Args:
        folder: Folder of the run's checkpoints.
        epoch: Number of the epoch, from 0.
        prefix: Prefix of the model's weights in the module: the main model's, or that of a further domain.
    """
    inside = () if prefix == MAIN else prefix.rstrip(".").split(".")
    return folder.joinpath(*inside, f"best_epoch_{epoch + 1}.safetensors")


def load_best(folder: Path, epoch: int, models: Mapping[str, nn.Module]) -> None:
    """Loads the best epoch's weights into models.

    Args:
        folder: Folder of the run's checkpoints.
        epoch: Number of the epoch, from 0.
        models: Models by the prefix of their weights' names in the module.
    """
    for prefix, model in models.items():
        load_weights(checked_best(folder, epoch, prefix), model)


def checked_best(folder: Path, epoch: int, prefix: str = MAIN) -> Path:
    """Returns the file of :func:`best_weights` after a check of its digest.

    Raises:
        DamagedError: If it is missing or damaged.
    """
    remedy = f"the weights of the best epoch are lost: delete {folder.parent} to train again from the beginning"
    return check(best_weights(folder, epoch, prefix), remedy)


class RunCheckpoints(Checkpoint):
    """Writer of ``last.ckpt`` every few steps and after each epoch, and of the best epoch's weights.

    After the last step of an epoch, the checkpoint is only written after the validation: Lightning 2.6 reads an earlier
    one as a complete epoch, which would never be validated. Neither file holds the frozen weights of a language model.

    Args:
        folder: Folder of the files.
        metric: Validation metric that selects the epoch, as logged; None selects the last epoch.
        mode: Whether its smallest or its largest value is best.
        every_steps: Optimiser steps between checkpoints within an epoch.
    """

    def __init__(self, folder: Path, metric: str | None, mode: Literal["min", "max"], every_steps: int) -> None:
        self.folder = folder
        self.metric = metric
        self.sign = 1.0 if mode == "min" else -1.0
        self.every_steps = every_steps
        self.best_epoch = -1
        self.best_value = math.nan
        self._saved_step = 0
        self._from: Path | None = None

    @property
    def last(self) -> Path:
        """File of the whole state: weights, optimiser, schedule, counters, random state, position in the data."""
        return self.folder / LAST

    def resumed(self) -> Path | None:
        """Returns the checkpoint from which the run goes on, see :func:`resumable`."""
        self._from = resumable(self.folder)
        return self._from

    def setup(self, trainer: L.Trainer, pl_module: RecommenderModule, stage: str) -> None:
        if any(frozen_names(model) for model in pl_module.recommenders().values()):
            pl_module.strict_loading = False  # on_load_checkpoint checks the names instead

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: RecommenderModule, checkpoint: dict[str, Any]) -> None:
        for prefix, model in pl_module.recommenders().items():
            for name in frozen_names(model):
                checkpoint["state_dict"].pop(f"{prefix}{name}", None)  # only in the first process, if sharded

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: RecommenderModule, checkpoint: dict[str, Any]) -> None:
        for prefix, model in pl_module.recommenders().items():
            if frozen_names(model) and "state_dict" in checkpoint:  # absent with sharded weights
                kept = {name for name in checkpoint["state_dict"] if name.startswith(prefix)}
                check_left_out(kept, model, str(self.last), prefix)

    def state_dict(self) -> dict[str, Any]:
        return {"best_epoch": self.best_epoch, "best_value": self.best_value}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_epoch, self.best_value = state_dict["best_epoch"], state_dict["best_value"]

    def on_train_start(self, trainer: L.Trainer, pl_module: RecommenderModule) -> None:
        if self._from == self.last and self.best_epoch >= 0:  # those that an earlier checkpoint names are made again
            for prefix in pl_module.recommenders():
                checked_best(self.folder, self.best_epoch, prefix)
        if self._from != self.last and trainer.is_global_zero:
            self.last.unlink(missing_ok=True)  # damaged, or there is none
        self._saved_step = trainer.global_step  # after a resume, nothing is saved before a whole step

    def on_train_batch_end(self, trainer: L.Trainer, *unused: Any) -> None:
        due = trainer.global_step % self.every_steps == 0 and trainer.global_step != self._saved_step
        if due and not trainer.is_last_batch:
            self._save(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: RecommenderModule) -> None:
        value = math.nan if self.metric is None else float(trainer.callback_metrics[self.metric])
        if math.isnan(self.best_value) or self.sign * value < self.sign * self.best_value:
            self.best_epoch, self.best_value = trainer.current_epoch, value
            self._save_weights(trainer, pl_module)
        self._save(trainer)
        if trainer.is_global_zero:
            self._remove_others()  # after last.ckpt names the new best, so that a kill leaves a best epoch

    def _save_weights(self, trainer: L.Trainer, module: RecommenderModule) -> None:
        is_sharded = isinstance(trainer.strategy, SharedWeights)
        state = trainer.strategy.lightning_module_state_dict() if is_sharded else {}  # gathered in the first process
        if not trainer.is_global_zero:
            return
        for prefix, model in module.recommenders().items():
            path = best_weights(self.folder, self.best_epoch, prefix)
            if is_sharded:
                own = {k.removeprefix(prefix): value for k, value in state.items() if k.startswith(prefix)}
                save_state(path, own, frozen_names(model))
            else:
                save_weights(path, model)
            seal(path.parent, [path.name])

    def _save(self, trainer: L.Trainer) -> None:
        trainer.save_checkpoint(self.last)
        self._saved_step = trainer.global_step

    def _remove_others(self) -> None:
        for path in self.folder.rglob("best_epoch_*.safetensors"):
            if path.name != best_weights(self.folder, self.best_epoch).name:
                path.unlink()
                seal(path.parent, [path.name])
