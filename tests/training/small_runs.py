"""Small training runs that can be interrupted at any hook; as a script, a run that is killed with -9."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from small_shop import Shop, open_shop
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.horizon import ROLLING
from seasonrec.batches.loader import LoaderOptions, TrainingLoader
from seasonrec.batches.sharding import Shard
from seasonrec.evaluation.ranking.scorers import validation_metrics
from seasonrec.models.backbone.sasrec import SASRec
from seasonrec.models.habit.replenishment import ReplenishmentHabit
from seasonrec.models.head.next_item import NextItemHead
from seasonrec.models.item_encoder.id import IdItems
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.models.season.momentum import MomentumSeason
from seasonrec.models.temporal.gru import GRUTemporal
from seasonrec.training.fit import FitResult, TrainerOptions, fit
from seasonrec.training.loss.full_softmax import FullSoftmax
from seasonrec.training.module import RecommenderModule
from seasonrec.training.optimizer import AdamWOptions

Event = tuple[str, int, int]
"""Hook, epoch, and batch within the epoch (or -1)."""

OPTIONS = TrainerOptions(max_epochs=3, patience=2, checkpoint_every_steps=3)
LOADER = LoaderOptions(batch_size=100, evaluation_batch_size=16, validation_stride=2)


class Killed(Exception):
    """A simulated kill that does not end the test."""


@dataclass
class Curve:
    """Validation metrics of every epoch of a run."""

    values: dict[int, dict[str, float]] = field(default_factory=dict)


class WatchedModule(RecommenderModule):
    """A module that calls ``watch`` at the end of every hook and records the validation metrics."""

    def __init__(self, *args: Any, watch: Callable[[Event], None], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.watch = watch
        self.curve = Curve()
        self.keep: dict[int, dict[str, Tensor]] | None = None

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        self.watch(("batch_start", self.current_epoch, batch_idx))

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.watch(("batch_end", self.current_epoch, batch_idx))

    def on_validation_batch_start(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.watch(("validation", self.current_epoch, batch_idx))

    def on_train_epoch_end(self) -> None:
        metrics = self.trainer.callback_metrics
        self.curve.values[self.current_epoch] = {k: float(v) for k, v in metrics.items() if k.startswith("val/")}
        if self.keep is not None:
            self.keep[self.current_epoch] = {name: weight.clone() for name, weight in self.state_dict().items()}
        self.watch(("epoch_end", self.current_epoch, -1))


class SmallValidation:
    def __init__(self, shop: Shop, model: SeasonalRecommender) -> None:
        self.builder = shop.builder(model.contexts())
        requests = shop.some_requests(41)
        self.requests = requests[Shard.current().slice_of(len(requests))]

    def __len__(self) -> int:
        return -(-len(self.requests) // LOADER.evaluation_batch_size)

    def __iter__(self) -> Iterator[SequenceBatch]:
        size = LOADER.evaluation_batch_size
        return (self.builder(self.requests[start : start + size]) for start in range(0, len(self.requests), size))


def small_model(shop: Shop, **parts: Any) -> SeasonalRecommender:
    chosen = {
        "item_encoder": IdItems,
        "backbone": partial(SASRec, num_layers=1, dropout=0.3),
        "temporal": GRUTemporal,
        "season": {"momentum": MomentumSeason},
        "habit": ReplenishmentHabit,
        "head": NextItemHead,
    }
    return SeasonalRecommender(**(chosen | parts), facts=shop.facts())


def small_loader(shop: Shop, model: SeasonalRecommender, seed: int = 7) -> TrainingLoader:
    baskets = shop.split.train_baskets(shop.log)
    return TrainingLoader(shop.builder(model.contexts()), baskets, LOADER, ROLLING, seed, shard=Shard.current())


@dataclass
class SmallRun:
    """Result of a run."""

    result: FitResult
    weights: dict[str, Tensor]
    curve: dict[int, dict[str, float]]
    last: dict[str, Any]


def small_run(
    shop: Shop,
    run_dir: Path,
    watch: Callable[[Event], None] = lambda event: None,
    options: TrainerOptions = OPTIONS,
    curve: Curve | None = None,
    learning_rate: float = 0.01,
    keep: dict[int, dict[str, Tensor]] | None = None,
    make_loader: Callable[[Shop, SeasonalRecommender, int], TrainingLoader] = small_loader,
    seed: int = 7,
    training: dict[str, Any] | None = None,
    **parts: Any,
) -> SmallRun:
    """Trains from the start or the last checkpoint in ``run_dir``, like ``seasonrec.commands.train``.

    ``training`` goes to the module: its objective, its balancing.
    """
    L.seed_everything(seed, verbose=False)
    model = small_model(shop, **parts)
    loader = make_loader(shop, model, seed)
    optimizer = AdamWOptions(learning_rate=learning_rate)
    loss = FullSoftmax(facts=shop.facts())
    module = WatchedModule(model, loss, optimizer, validation_metrics, run_dir, watch=watch, **(training or {}))
    module.curve, module.keep = curve or Curve(), keep
    result = fit(module, loader, SmallValidation(shop, model), options, run_dir)
    last = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)
    return SmallRun(result, module.state_dict(), module.curve.values, last)


def _kill_at(event: Event, at: Event) -> None:
    if event == at:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    cache_dir, run_dir, at = Path(sys.argv[1]), Path(sys.argv[2]), tuple(json.loads(sys.argv[3]))
    torch.set_num_threads(1)
    small_run(open_shop(cache_dir), run_dir, lambda event: _kill_at(event, at))
