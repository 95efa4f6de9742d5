"""Training of a network on the windows of all series, by Lightning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from seasonrec.forecast.neural.losses import SeriesLoss
from seasonrec.forecast.neural.network import SeriesNetwork
from seasonrec.forecast.neural.windows import DrawnWindows, SeriesBatch
from seasonrec.models.components import FollowsTraining
from seasonrec.training.fit import without_noise

CHECKS = 10
"""Validations of a training; the weights of the best are kept."""


@dataclass(frozen=True)
class Budget:
    """Budget of a training.

    Args:
        steps: Optimiser steps.
        batch_size: Windows of a step.
        learning_rate: Highest rate of AdamW; it falls to 0 along a half cosine.
    """

    steps: int
    batch_size: int
    learning_rate: float


class SeriesModule(L.LightningModule):
    """A network of series in training.

    Args:
        network: The network.
        loss: Its loss.
        budget: The budget.
    """

    def __init__(self, network: SeriesNetwork, loss: SeriesLoss, budget: Budget) -> None:
        super().__init__()
        self.network, self.loss, self.budget = network, loss, budget
        self.best = float("inf")
        self.best_weights: dict[str, Tensor] = {}
        self.best_step = 0
        self._sums: list[tuple[float, int]] = []

    def transfer_batch_to_device(self, batch: SeriesBatch, device: torch.device, dataloader_idx: int) -> SeriesBatch:
        """Moves a batch; Lightning itself refuses frozen dataclasses."""
        return SeriesBatch(**{field.name: getattr(batch, field.name).to(device) for field in fields(batch)})

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        if isinstance(self.network.temporal, FollowsTraining):
            self.network.temporal.at_progress(self.global_step / self.budget.steps)

    def training_step(self, batch: SeriesBatch, batch_idx: int) -> Tensor:
        outputs, penalties = self.network(batch)
        return self.loss(outputs, batch) + sum(penalties.values(), outputs.new_zeros(()))

    def validation_step(self, batch: SeriesBatch, batch_idx: int) -> None:
        outputs, _ = self.network(batch)
        self._sums.append((float(self.loss(outputs, batch)) * len(batch.length), len(batch.length)))

    def on_validation_epoch_end(self) -> None:
        value = sum(total for total, _ in self._sums) / sum(number for _, number in self._sums)
        self._sums = []
        if value < self.best:
            self.best, self.best_step = value, self.global_step
            self.best_weights = {name: one.detach().clone() for name, one in self.network.state_dict().items()}

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.budget.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.budget.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def train(
    network: SeriesNetwork,
    loss: SeriesLoss,
    windows: DrawnWindows,
    validation: list[SeriesBatch],
    budget: Budget,
    progress: Callable[[str], None],
) -> int:
    """Trains a network and gives it the weights of the best validation.

    Args:
        network: The network; its weights change.
        loss: Its loss.
        windows: Batches of training windows.
        validation: Batches of validation windows.
        budget: The budget.
        progress: Receives lines.

    Returns:
        The step of the best validation.
    """
    module = SeriesModule(network, loss, budget)
    with without_noise():
        trainer = L.Trainer(
            accelerator="cpu",
            devices=1,
            max_steps=budget.steps,
            val_check_interval=max(1, budget.steps // CHECKS),
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            gradient_clip_val=1.0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[_Lines(budget.steps, progress)],
        )
        trainer.fit(module, DataLoader(windows, batch_size=None), DataLoader(validation, batch_size=None))  # type: ignore[arg-type]  # a list is a data set
    if module.best_weights:
        network.load_state_dict(module.best_weights)
    network.eval()
    return module.best_step


class _Lines(L.Callback):
    """Lines of progress."""

    def __init__(self, steps: int, progress: Callable[[str], None]) -> None:
        self.steps, self.progress = steps, progress

    def on_train_batch_end(self, trainer: L.Trainer, *unused: Any) -> None:
        self.progress(f"step {trainer.global_step:,} of {self.steps:,}")
