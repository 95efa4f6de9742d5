"""Recommenders with one further task, for the task tests."""

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from small_shop import MAX_SEQ_LEN, Shop

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.horizon import ROLLING
from seasonrec.batches.labels.base import bind_all
from seasonrec.batches.loader import BatchBuilder, LoaderOptions, TrainingLoader
from seasonrec.config import build, compose, conf_dir
from seasonrec.config.schema import RunConfig
from seasonrec.models.context_use import pick
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.models.task.base import TaskFeatures, TaskOutput

OPTIONS = sorted(path.stem for path in (conf_dir() / "task").glob("*.yaml"))
PLAIN = {"item_encoder": "id", "backbone": "sasrec", "temporal": "none", "season": "[calendar]", "habit": "none"}
PLAIN |= {"head": "next_item", "sharing": "hard"}
WIDTH = 16


@cache
def composed(season: str) -> RunConfig:
    """Composes one configuration with all tasks, since composing is slow."""
    chosen = [f"{slot}={option}" for slot, option in (PLAIN | {"season": season}).items()]
    return compose([*chosen, f"task=[{','.join(OPTIONS)}]"])


def head_of(option: str) -> partial[Any]:
    return build(composed(PLAIN["season"]).task[option])


@dataclass
class Case:
    """A recommender with one further task and non-zero weights."""

    name: str
    model: SeasonalRecommender
    shop: Shop

    @property
    def head(self) -> Any:
        return self.model.task[self.name]

    def builder(self) -> BatchBuilder:
        contexts = {
            name: context.bind(self.shop.log, self.shop.spec) for name, context in self.model.contexts().items()
        }
        labels = bind_all(self.model.labels(), self.shop.log, self.shop.split.cuts)
        return BatchBuilder(self.shop.log, contexts, MAX_SEQ_LEN, labels)

    def training_batch(self, size: int = 60) -> SequenceBatch:
        baskets = self.shop.split.train_baskets(self.shop.log)
        return next(iter(TrainingLoader(self.builder(), baskets, LoaderOptions(batch_size=size), ROLLING, seed=3)))

    def output(self, batch: SequenceBatch) -> TaskOutput:
        return self.model.tasks_of(self.model.read(batch), batch)[self.name]


def make_case(shop: Shop, option: str, seed: int = 0, season: str = PLAIN["season"]) -> Case:
    torch.manual_seed(seed)
    parts = {slot: build(getattr(composed(season), slot)) for slot in PLAIN if slot != "season"}
    parts["season"] = {name: build(node) for name, node in (composed(season).season or {}).items()}
    facts = shop.facts(WIDTH)
    model = SeasonalRecommender(**parts, task={option: head_of(option)}, facts=facts).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return Case(option, model, shop)


def features_of(case: Case, batch: SequenceBatch) -> TaskFeatures:
    reading = case.model.read(batch)
    query = case.model.season.conditioned(reading.query, pick(batch, case.model.season))
    return TaskFeatures(query.detach(), reading.items, lambda _: query, reading.scores)


def available_items(case: Case, batch: SequenceBatch, request: int) -> list[int]:
    available = case.shop.log.item_first_seen_s <= batch.request_time_s[request].item()
    return np.flatnonzero(available).tolist()


def baskets(batch: SequenceBatch) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in range(batch.num_requests)]
    for request, item in zip(batch.target_request.tolist(), batch.target_items.tolist(), strict=True):
        found[request].append(item)
    return found
