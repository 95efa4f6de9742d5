"""Data of a run, and its model with new weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from seasonrec.batches.facts import Facts
from seasonrec.batches.horizon import Horizon
from seasonrec.batches.labels.base import bind_all
from seasonrec.batches.loader import BatchBuilder
from seasonrec.batches.splits import Split, local_date, spec_of
from seasonrec.config import build
from seasonrec.config.schema import Component, RunConfig
from seasonrec.data.behaviours import with_target
from seasonrec.data.cache import default_cache_dir
from seasonrec.data.datasets.synthetic import Synthetic
from seasonrec.data.events import prepare
from seasonrec.data.log import EventLog
from seasonrec.data.spec import DataSpec
from seasonrec.data.synthetic_truth import SyntheticTruth
from seasonrec.data.tables import Dataset
from seasonrec.errors import UserError
from seasonrec.evaluation.groups.words import items_with_words
from seasonrec.evaluation.protocol import Protocol, fingerprint
from seasonrec.models.item_encoder.text import TextItems
from seasonrec.models.item_features import FeatureVectors
from seasonrec.models.recommender import SeasonalRecommender

FILE_KEYS = ("events", "items", "users", "path", "calendar")
"""Options of datasets that are paths of files."""

MODEL_SLOTS = ("item_encoder", "behaviour", "backbone", "temporal", "demand", "habit", "mixture", "head", "sharing")


@dataclass(frozen=True)
class OpenData:
    """The data of a run, prepared and split.

    Args:
        log: The prepared log.
        split: The cuts.
        spec: Facts of the data.
        protocol: Rules of the evaluation.
        fingerprint: Hash over data, split and protocol.
        cache_dir: Folder of prepared data and text vectors.
        truth: Parameters that generated the log; None for a log that was not generated.
    """

    log: EventLog
    split: Split
    spec: DataSpec
    protocol: Protocol
    fingerprint: str
    cache_dir: Path
    truth: SyntheticTruth | None = None

    @property
    def horizon(self) -> Horizon:
        """End of the history of each request."""
        return self.protocol.horizon(self.split, self.log.timezone)


def cache_dir_of(config: RunConfig) -> Path:
    """Returns the cache folder of the configuration, or the user's."""
    return Path(config.cache_dir) if config.cache_dir else default_cache_dir()


def with_absolute_paths(config: RunConfig) -> RunConfig:
    """Returns the configuration with absolute paths of data files and cache, which are valid in any folder."""
    cache_dir = str(Path(config.cache_dir).expanduser().absolute()) if config.cache_dir else config.cache_dir
    nodes = config.domain and {
        name: cast(Component, {**node, "data": _absolute(node["data"])}) for name, node in config.domain.items()
    }
    return replace(config, data=_absolute(config.data), cache_dir=cache_dir, domain=nodes)


def _absolute(node: Component) -> Component:
    files = {key: Path(node[key]) for key in FILE_KEYS if node.get(key)}
    paths = {key: str(file.absolute()) for key, file in files.items() if file.is_file()}
    return cast(Component, {**node, **paths})


def open_data(config: RunConfig, progress: Callable[[str], None] = print) -> OpenData:
    """Prepares the dataset, or finds it in the cache, and splits it.

    Args:
        config: The complete configuration of a run.
        progress: Called with lines for the user.
    """
    dataset: Dataset = build(config.data)()
    protocol: Protocol = build(config.protocol)()
    cache_dir = cache_dir_of(config)
    log = with_target(prepare(dataset, cache_dir, progress, config.verify), protocol.target_behaviour)
    split = build(config.split)().resolve(log)
    check_log(log, split, protocol)
    mark = fingerprint(protocol, log, split, dataset.identity())
    truth = dataset.truth() if isinstance(dataset, Synthetic) else None
    return OpenData(log, split, spec_of(log, split), protocol, mark, cache_dir, truth)


def prepared_log(data: Component, cache_dir: str | None, progress: Callable[[str], None] = print) -> EventLog:
    """Returns the log of a dataset, prepared or from the cache."""
    dataset: Dataset = build(data)()
    return prepare(dataset, Path(cache_dir) if cache_dir else default_cache_dir(), progress)


def check_log(log: EventLog, split: Split, protocol: Protocol) -> None:
    """Checks, before anything heavy runs, that a log has what a protocol asks for.

    Raises:
        UserError: If a list of words matches no item, or under the horizon no training request knows an event.
    """
    items_with_words(log, protocol.words)
    first_s, last_s = int(np.min(log.basket_times_s)), split.train_until_s - 1
    until_s = int(protocol.horizon(split, log.timezone).known_until_s(np.array([last_s]))[0])
    if until_s <= first_s:
        raise UserError(
            f"protocol hides the whole log from training: the last training request, on {local_date(last_s, log)}, "
            f"knows events before {local_date(until_s, log)}, and the log begins on {local_date(first_s, log)}; lower "
            "protocol.horizon_days or refresh_days, or choose a later split.validation_from."
        )


def build_model(config: RunConfig, data: OpenData, for_training: bool = False) -> tuple[SeasonalRecommender, Facts]:
    """Returns the recommender of a configuration with new weights, and the facts of its data.

    Args:
        config: The complete configuration of a run.
        data: Its data.
        for_training: Whether to make the further wordings of the items' texts, which only training reads.

    Raises:
        UserError: If no component reads the further wordings, or a component does not support the data.
    """
    facts = Facts.of(data.log, data.spec, config.embedding_dim, config.max_seq_len, data.cache_dir)
    facts = replace(facts, candidates=data.protocol.candidates)
    if for_training:
        facts = replace(facts, text_variants=build(config.text_augmentation)(facts=facts)())
    components: dict[str, Any] = {slot: build(getattr(config, slot)) for slot in MODEL_SLOTS}
    for slot in ("season", "task"):
        node = getattr(config, slot) or {}
        components[slot] = {name: build(one) for name, one in node.items()}
    model = SeasonalRecommender(**components, facts=facts)
    if facts.text_variants and not any(isinstance(module, TextItems) for module in model.modules()):
        raise UserError(
            "text_augmentation varies the texts that item_encoder=text and id_text read, and this item encoder reads "
            "none; choose item_encoder=id_text, or text_augmentation=none."
        )
    if data.spec.features and not any(isinstance(module, FeatureVectors) for module in model.modules()):
        print("note: no component reads data.features; item_encoder=features does", flush=True)
    model.peft = build(config.peft)(facts=facts)
    model.peft.apply(model)
    return model, facts


def device_of(config: RunConfig) -> torch.device:
    """Returns the device of an evaluation: a GPU if there is one and the trainer may use it."""
    may = config.trainer.get("accelerator", "cpu") in ("gpu", "auto")
    return torch.device("cuda" if may and torch.cuda.is_available() else "cpu")


def batch_builder(
    model: SeasonalRecommender, data: OpenData, max_seq_len: int, with_labels: bool = False
) -> BatchBuilder:
    """Returns a builder of batches with the contexts that the model reads and the labels of its further tasks.

    Args:
        model: The recommender.
        data: The opened data.
        max_seq_len: Events ``T`` of a window at most.
        with_labels: Whether the further tasks need contexts and labels; ranking needs neither.
    """
    log, wanted = data.log, model.contexts(with_tasks=with_labels)
    contexts = {name: context.bind(log, data.spec) for name, context in wanted.items()}
    labels = bind_all(model.labels(), log, data.split.cuts) if with_labels else {}
    return BatchBuilder(log, contexts, max_seq_len, labels, data.protocol.candidates)
