"""Further domains of a run: other logs, whose models share with the main one what fits any catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from seasonrec.config import build
from seasonrec.batches.facts import Facts
from seasonrec.batches.loader import BatchBuilder
from seasonrec.batches.splits import TimeSplit
from seasonrec.data.tables import DataError, Dataset
from seasonrec.models.domain_sharing import own_parameters, share
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.runs.opening import OpenData, batch_builder, build_model, open_data

ONE_TASK = {"task": None, "sharing": {"_target_": "seasonrec.models.sharing.hard.HardSharing"}, "domain": None}
"""What a domain has in place of the run's own slots: it learns its next items alone."""


@dataclass(frozen=True)
class Domain:
    """A log that is trained on beside the main one, by a model of its own that shares modules with the main model.

    Backbone, temporal module, start vector and the reading of item texts are shared, see
    :func:`~seasonrec.models.domain_sharing.share`. Protocol, loss and sizes are the run's. The domain is evaluated by itself,
    on its own test part and with a fingerprint of its own; the best epoch is that of the main domain.

    Args:
        data: Source of its event and item tables.
        split: Its time cuts.
        alpha: How often its batches come: ``(its requests / the main domain's) ** alpha`` for every batch of the main
            domain, between 0 (as many batches) and 1 (as many epochs).

    Raises:
        ValueError: If ``alpha`` lies outside its range.
    """

    data: Callable[..., Dataset]
    split: Callable[..., TimeSplit]
    alpha: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 <= self.alpha <= 1.0:
            raise ValueError(
                f"alpha must lie in [0, 1], got {self.alpha}; 1 reads the domain as often as the main one, 0.5 a "
                "smaller one more often."
            )


@dataclass(frozen=True)
class OpenDomain:
    """A domain of a run with its model.

    Args:
        name: Under which it was chosen.
        config: The run's configuration with the domain's data in place of the main one's.
        data: Its data.
        model: Its model.
        facts: What its model was told.
        builder: Makes its batches.
        alpha: See :class:`Domain`.
        shared: Names of what its model shares with the main one.
    """

    name: str
    config: dict[str, Any]
    data: OpenData
    model: SeasonalRecommender
    facts: Facts
    builder: BatchBuilder
    alpha: float
    shared: tuple[str, ...]

    @property
    def seed(self) -> int:
        """Of its batches' order: another than the main domain's."""
        return int(np.random.SeedSequence((self.config["seed"], crc32(self.name.encode()))).generate_state(1)[0])

    def folder(self, run_dir: Path) -> Path:
        """Where the run keeps what is the domain's."""
        return folder_of(run_dir, self.name)

    def record(self, main: SeasonalRecommender) -> dict[str, Any]:
        """What is kept of it beside its results."""
        own = own_parameters(main, self.model)
        return {
            "name": self.config["name"],
            "domain": self.name,
            "seed": self.config["seed"],
            "fingerprint": self.data.fingerprint,
            "data_digest": self.data.log.digest,
            "data_report": self.data.log.report,
            "alpha": self.alpha,
            "shared": list(self.shared),
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "own_parameters": sum(parameter.numel() for parameter in own.values()),
        }


def domain_configs(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The configuration of every further domain by name: the run's own, with other data and one task."""
    nodes: dict[str, Any] = config["domain"] or {}
    return {name: config | ONE_TASK | {"data": node["data"], "split": node["split"]} for name, node in nodes.items()}


def folder_of(run_dir: Path, name: str) -> Path:
    """Where a run keeps what belongs to a domain."""
    return run_dir / "domains" / name


def open_domain_data(config: dict[str, Any]) -> dict[str, OpenData]:
    """Prepares the data of every further domain.

    Raises:
        DataError: If one of them breaks a rule; begins with the domain's place in the configuration.
    """
    opened = {}
    for name, own in domain_configs(config).items():
        with _named(name):
            opened[name] = open_data(own)
    return opened


def build_domains(
    config: dict[str, Any], data: dict[str, OpenData], main: SeasonalRecommender, for_training: bool = False
) -> list[OpenDomain]:
    """The models of the further domains, with what they share put in from the main one.

    Args:
        config: The complete configuration of the run.
        data: What :func:`open_domain_data` gave.
        main: The main model, as it will be trained.
        for_training: Whether to make what is read in training alone, as in ``build_model``.
    """
    built = []
    for name, own in domain_configs(config).items():
        with _named(name):
            alpha = build(config["domain"][name])().alpha
            model, facts = build_model(own, data[name], for_training)
        shared = share(main, model)
        builder = batch_builder(model, data[name].log, data[name].spec, own["max_seq_len"], data[name].split)
        built.append(OpenDomain(name, own, data[name], model, facts, builder, alpha, shared))
    return built


@contextmanager
def _named(domain: str) -> Iterator[None]:
    """Says of which domain a message speaks that names the keys of a run's own data."""
    try:
        yield
    except ValueError as error:
        if isinstance(error, DataError) or str(error).startswith(("data.", "split", "alpha ")):
            raise DataError(f"domain.{domain}: {error}") from error
        raise
