"""seasonrec: its SASRec without seasonal components, with the same settings as the peers."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import nn

from benchmarks.peers.serve import Runner, Settings, StepClock, serve
from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.horizon import ROLLING
from seasonrec.batches.loader import BatchBuilder, LoaderOptions, TrainingLoader
from seasonrec.batches.requests import Requests
from seasonrec.batches.splits import Split, spec_of
from seasonrec.config import build
from seasonrec.config.compose import compose
from seasonrec.data.events import prepare
from seasonrec.evaluation.ranking.lists import top_lists
from seasonrec.evaluation.ranking.scorers import ModelScorer, validation_metrics
from seasonrec.runs.opening import OpenData, batch_builder, build_model
from seasonrec.training.module import RecommenderModule


class ConstantAdam:
    """Adam as in the peers, without warm-up and decay."""

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = learning_rate

    def build(self, model: nn.Module, total_steps: int, fused: bool) -> torch.optim.Optimizer:
        return torch.optim.Adam(model.parameters(), lr=self.learning_rate, betas=(0.9, 0.98), fused=fused)


class Clocked(L.Callback):
    """Callback that reports each step to the clock; users' first events, on which no peer trains, are not counted."""

    def __init__(self, clock: StepClock) -> None:
        self.clock = clock

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: SequenceBatch, batch_idx: int
    ) -> None:
        if self.clock.tick(int((batch.request_position > 0).sum())):
            trainer.should_stop = True


class SeasonrecRunner(Runner):
    """Training on all events of the file: each event is one basket, one request and one target."""

    packages = ("seasonrec", "lightning")

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        warnings.simplefilter("ignore")
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        self.config = compose(self._overrides())
        self.dataset, self.protocol = (
            build(getattr(self.config, slot))() for slot in ("data", "protocol")
        )  # imports them

    def prepare(self) -> int:
        cache = Path(self.settings.scratch) / "cache"
        log = prepare(self.dataset, cache, progress=lambda line: None)
        end_s = int(log.basket_times_s.max()) + 1
        split = Split(int(log.basket_times_s.min()), end_s, end_s, end_s)  # all events are for training
        self.data = OpenData(log, split, spec_of(log, split), self.protocol, "", cache)
        self.loader = self._loader()
        return log.num_events

    def train(self, clock: StepClock) -> None:
        L.seed_everything(self.settings.seed, verbose=False)
        self.model, facts = build_model(self.config, self.data)
        if not self.settings.popularity_start:
            nn.init.zeros_(self.model.head.bias)  # the peers must learn the popularities, too
        self.builder = batch_builder(self.model, self.data, self.settings.length)
        module = RecommenderModule(
            self.model,
            build(self.config.loss)(facts=facts),
            ConstantAdam(self.settings.learning_rate),  # type: ignore[arg-type]
            validation_metrics,
            Path(self.settings.scratch),
        )
        trainer = L.Trainer(
            max_epochs=self.settings.epochs,
            accelerator="cpu",
            devices=1,
            limit_val_batches=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            callbacks=[Clocked(clock)],
        )
        trainer.fit(module, self._loader())

    def infer(self) -> tuple[Sequence[Any], Sequence[Sequence[Any]]]:
        log, step = self.data.log, self.settings.infer_batch_size
        everyone, ends_s = np.arange(log.num_users), np.full(log.num_users, self.data.split.end_s)
        scorer, requests = ModelScorer("seasonrec", self.model, self.builder), Requests.of_users(everyone, ends_s)
        lists = top_lists(scorer, log, self.protocol, requests, self.settings.top_k, step, normalise=False)
        item_ids = log.items["item_id"].to_numpy()
        return log.users["user_id"].to_list(), item_ids[np.concatenate([part.items for part in lists])].tolist()

    def _loader(self) -> TrainingLoader:
        """Returns a loader with one window per user, whose last event is only a target."""
        log = self.data.log
        builder = BatchBuilder(log, {}, self.settings.length + 1)
        steps = -(-log.num_users // self.settings.batch_size)  # equals that of the peers, which count sequences
        options = LoaderOptions(-(-log.num_baskets // steps), min_context_share=0.0, shift_windows=False)
        return TrainingLoader(builder, self.data.split.train_baskets(log), options, ROLLING, self.settings.seed)

    def _overrides(self) -> list[str]:
        settings = self.settings
        return [
            *("data=table", f"data.events={settings.events}", "item_encoder=id", "temporal=none", "season=[]"),
            *(
                "habit=none",
                "head.dropout=0",
                "loss=full_softmax",
                "backbone=sasrec",
                f"backbone.num_layers={settings.layers}",
            ),
            *(f"backbone.num_heads={settings.heads}", f"backbone.dropout={settings.dropout}"),
            *(f"embedding_dim={settings.width}", f"max_seq_len={settings.length}", f"seed={settings.seed}"),
        ]


if __name__ == "__main__":
    serve(SeasonrecRunner)
