"""RecTools: its ``SASRecModel`` with softmax loss, ``fit`` and ``recommend``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pandas as pd
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

from benchmarks.peers.serve import Runner, Settings, StepClock, serve


class Clocked(Callback):
    """Callback that reports the end of each step to the clock; item number 0 is padding."""

    def __init__(self, clock: StepClock) -> None:
        self.clock = clock

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.clock.tick(int((batch["y"] != 0).sum())):
            trainer.should_stop = True


class RecToolsRunner(Runner):
    """Training on the last ``length + 1`` events of a user, with scores at all positions of a padded matrix."""

    packages = ("rectools", "pytorch-lightning")

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
        self.clock = StepClock()

    def prepare(self) -> int:
        frame = pd.read_csv(self.settings.events)
        frame[Columns.Weight] = 1
        frame[Columns.Datetime] = pd.to_datetime(frame.pop("timestamp"), unit="s")
        self.users = frame[Columns.User].unique()
        self.dataset = Dataset.construct(frame)
        preparator = self._model().data_preparator  # fit repeats these two, outside this measurement
        preparator.process_dataset_train(self.dataset)
        preparator.get_dataloader_train()
        return len(frame)

    def train(self, clock: StepClock) -> None:
        seed_everything(self.settings.seed, verbose=False)
        self.clock = clock
        self.model = self._model()
        self.model.fit(self.dataset)

    def infer(self) -> tuple[Sequence[Any], Sequence[Sequence[Any]]]:
        top_k = self.settings.top_k
        lists = self.model.recommend(self.users, self.dataset, k=top_k, filter_viewed=False)
        users = lists[Columns.User].to_numpy().reshape(-1, top_k)[:, 0]
        return users.tolist(), lists[Columns.Item].to_numpy().reshape(-1, top_k).tolist()

    def _model(self) -> SASRecModel:
        return SASRecModel(
            n_blocks=self.settings.layers,
            n_heads=self.settings.heads,
            n_factors=self.settings.width,
            dropout_rate=self.settings.dropout,
            session_max_len=self.settings.length,
            batch_size=self.settings.batch_size,
            loss="softmax",
            lr=self.settings.learning_rate,
            recommend_batch_size=self.settings.infer_batch_size,
            get_trainer_func=self._trainer,
        )

    def _trainer(self) -> Trainer:
        return Trainer(
            max_epochs=self.settings.epochs,
            accelerator="cpu",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[Clocked(self.clock)],
        )


if __name__ == "__main__":
    serve(RecToolsRunner)
