"""One thin LightningModule for all models."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor

from seasonrec.data.batch import SequenceBatch
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.training.losses.base import Loss
from seasonrec.training.means import PassMeans
from seasonrec.training.optim import AdamWOptions
from seasonrec.training.strategies import share_weights

BatchMetrics = Callable[[Tensor, SequenceBatch], Mapping[str, Tensor]]
"""Logits ``(N, V)`` and their batch to one value a target event, each ``(M,)``."""


class NonFiniteLossError(RuntimeError):
    """The loss stopped being a number; the batch's ids are in the file that the message names."""


class RecommenderModule(L.LightningModule):
    """Trains a :class:`SeasonalRecommender`; knows no model by name.

    Args:
        model: The recommender.
        loss: How far its scores are from the next items.
        optimizer: Optimiser and schedule.
        batch_metrics: Per-event metrics that validation averages and logs as ``val/<name>``.
        run_dir: Where the ids of a batch with a non-finite loss are kept.
    """

    def __init__(
        self,
        model: SeasonalRecommender,
        loss: Loss,
        optimizer: AdamWOptions,
        batch_metrics: BatchMetrics,
        run_dir: Path,
    ) -> None:
        super().__init__()
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.batch_metrics = batch_metrics
        self.run_dir = run_dir
        self.means = PassMeans()

    def configure_model(self) -> None:
        share_weights(self, self.trainer.strategy)

    def losses(self, batch: SequenceBatch) -> dict[str, Tensor]:
        """Every task's loss, a mean over its own samples; pure.

        Returns:
            ``next_item``: the chosen loss over the next items, a mean over target events.
        """
        return {"next_item": self.loss(self.model, batch)}

    def training_step(self, batch: SequenceBatch, batch_idx: int) -> Tensor:
        losses = self.losses(batch)
        total = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(total):
            self._stop_at(batch, losses)
        for name, loss in losses.items():
            self.log(f"train/{name}", loss.detach(), batch_size=len(batch.target_items), prog_bar=True)
        return total

    def validation_step(self, batch: SequenceBatch, batch_idx: int) -> None:
        scores = self.model.mask_unborn(self.model(batch).float(), batch)
        for name, values in self.batch_metrics(scores, batch).items():
            self.means.add(name, values)

    def on_validation_epoch_end(self) -> None:
        for name, mean in self.means.take().items():
            self.log(f"val/{name}", mean, prog_bar=True)

    def configure_optimizers(self) -> Any:
        return self.optimizer.build(self.model, int(self.trainer.estimated_stepping_batches))

    def _stop_at(self, batch: SequenceBatch, losses: dict[str, Tensor]) -> None:
        path = self.run_dir / "nonfinite_batch.json"
        kept = {
            "epoch": self.current_epoch,
            "step": self.global_step,
            "losses": {name: repr(loss.item()) for name, loss in losses.items()},
            "user_ids": batch.user_ids.tolist(),
            "basket_ids": batch.basket_ids.tolist(),
        }
        path.write_text(json.dumps(kept))
        raise NonFiniteLossError(
            f"the loss at epoch {self.current_epoch}, step {self.global_step} must be finite, got {kept['losses']}; "
            f"the batch's user and basket ids are in {path}. Lower optimizer.learning_rate, or look at these baskets."
        )
