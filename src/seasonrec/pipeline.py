"""What every command does first: open the data, build the model, bind its contexts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from seasonrec.config import build
from seasonrec.data.cache import default_cache_dir
from seasonrec.data.events import prepare
from seasonrec.data.facts import Facts
from seasonrec.data.loader import BatchBuilder
from seasonrec.data.log import EventLog
from seasonrec.data.spec import DataSpec
from seasonrec.data.splits import Split, spec_of
from seasonrec.data.tables import Dataset
from seasonrec.evaluation.protocol import Protocol, fingerprint
from seasonrec.models.recommender import SeasonalRecommender

MODEL_SLOTS = ("item_encoder", "backbone", "temporal", "season", "habit", "head")


@dataclass(frozen=True)
class OpenData:
    """The data of a run, prepared and split.

    Args:
        log: The prepared log.
        split: The cuts.
        spec: Facts of the data.
        protocol: Rules of the evaluation.
        fingerprint: Of data, split and protocol together.
        cache_dir: Where prepared data and text vectors are kept.
    """

    log: EventLog
    split: Split
    spec: DataSpec
    protocol: Protocol
    fingerprint: str
    cache_dir: Path


def cache_dir_of(config: dict[str, Any]) -> Path:
    """The run's cache folder, or the user's."""
    return Path(config["cache_dir"]) if config["cache_dir"] else default_cache_dir()


def with_absolute_paths(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration with the files of its data and its cache named from the root, for readers in other folders."""
    data = {
        key: str(Path(value).absolute()) if isinstance(value, str) and Path(value).is_file() else value
        for key, value in config["data"].items()
    }
    cache_dir = config["cache_dir"] and str(Path(config["cache_dir"]).expanduser().absolute())
    return {**config, "data": data, "cache_dir": cache_dir}


def open_data(config: dict[str, Any], progress: Callable[[str], None] = print) -> OpenData:
    """Prepares the dataset (or finds it prepared) and cuts it.

    Args:
        config: The complete configuration of a run.
        progress: Called with lines for the user.
    """
    dataset: Dataset = build(config["data"])()
    protocol: Protocol = build(config["protocol"])()
    cache_dir = cache_dir_of(config)
    log = prepare(dataset, cache_dir, progress)
    split = build(config["split"])().resolve(log)
    mark = fingerprint(protocol, log, split, dataset.identity())
    return OpenData(log, split, spec_of(log, split), protocol, mark, cache_dir)


def build_model(config: dict[str, Any], data: OpenData) -> tuple[SeasonalRecommender, Facts]:
    """The recommender that a configuration names, with fresh weights, and the facts it was told."""
    facts = Facts.of(data.log, data.spec, config["embedding_dim"], config["max_seq_len"], data.cache_dir)
    parts = {slot: build(config[slot]) for slot in MODEL_SLOTS}
    return SeasonalRecommender(**parts, facts=facts), facts


def device_of(config: dict[str, Any]) -> torch.device:
    """Where a run's model is evaluated: on the GPU where the trainer may use one and there is one."""
    may = config["trainer"].get("accelerator", "cpu") in ("gpu", "auto")
    return torch.device("cuda" if may and torch.cuda.is_available() else "cpu")


def batch_builder(model: SeasonalRecommender, log: EventLog, spec: DataSpec, max_seq_len: int) -> BatchBuilder:
    """Makes batches with just the contexts that the model reads."""
    contexts = {name: context.bind(log, spec) for name, context in model.contexts().items()}
    return BatchBuilder(log, contexts, max_seq_len)
