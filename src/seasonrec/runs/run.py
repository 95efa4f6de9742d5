"""One run: a configuration, its data, its model, its batches and its folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self
from zlib import crc32

import lightning as L
import numpy as np

from seasonrec.batches.facts import Facts
from seasonrec.batches.loader import BatchBuilder
from seasonrec.batches.splits import local_date
from seasonrec.config import build
from seasonrec.config.schema import RunConfig
from seasonrec.data.tables import DataError
from seasonrec.models.domain_sharing import own_parameters, share
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.runs.domains import domain_configs, folder_of
from seasonrec.runs.opening import OpenData, batch_builder, build_model, open_data


@dataclass
class Run:
    """A main run, or a further domain of one.

    ``open`` reads the data; ``build`` makes the model. A finished run is opened by :func:`seasonrec.load`.

    Args:
        config: The complete configuration; for a domain, that of the main run with the domain's data.
        folder: Folder of the results.
        data: The prepared data.
        domain: Name of the further domain; empty for the main run.
        alpha: Frequency of a domain's batches, see :class:`~seasonrec.runs.domains.Domain`.
        domains: Further domains of the main run.
    """

    config: RunConfig
    folder: Path
    data: OpenData
    domain: str = ""
    alpha: float = 0.0
    domains: tuple[Run, ...] = ()

    model: SeasonalRecommender = None  # type: ignore[assignment]  # made by build
    facts: Facts = None  # type: ignore[assignment]
    batches: BatchBuilder = None  # type: ignore[assignment]
    shared: tuple[str, ...] = ()
    """Names of the modules that a domain's model shares with the main one."""

    @classmethod
    def open(cls, config: RunConfig, progress: Callable[[str], None] = print) -> Self:
        """Prepares the data of a run and of its further domains.

        Raises:
            DataError: If the data break a rule; the error of a domain begins with its key in the configuration.
        """
        run = cls(config, Path(config.run_dir), open_data(config, progress))
        run.domains = tuple(cls._open_domain(run, name, own, progress) for name, own in domain_configs(config).items())
        return run

    @classmethod
    def _open_domain(cls, run: Run, name: str, own: RunConfig, progress: Callable[[str], None]) -> Self:
        with _naming(name):
            alpha = build((run.config.domain or {})[name])().alpha
            return cls(own, folder_of(run.folder, name), open_data(own, progress), name, alpha)

    def build(self, for_training: bool = False) -> None:
        """Builds the models and their batch builders.

        Args:
            for_training: Whether to draw weights from the run's seed and to make the further wordings of the items'
                texts, which only training reads.
        """
        if for_training:
            L.seed_everything(self.config.seed, verbose=False)
        self._build(for_training)
        for domain in self.domains:
            with _naming(domain.domain):
                domain._build(for_training, self.model)

    def _build(self, for_training: bool, main: SeasonalRecommender | None = None) -> None:
        self.model, self.facts = build_model(self.config, self.data, for_training)
        if main is not None:
            self.shared = share(main, self.model)
        self.build_batches()

    def build_batches(self) -> None:
        """Makes a new batch builder, for a model that reads other contexts than before."""
        data = self.data
        self.batches = batch_builder(self.model, data, self.config.max_seq_len, with_labels=True)

    def over(self, change: Callable[[OpenData], OpenData]) -> Run:
        """Returns the run and its domains with changed data and without models."""
        domains = tuple(domain.over(change) for domain in self.domains)
        return Run(self.config, self.folder, change(self.data), self.domain, self.alpha, domains)

    def take(self, other: Run, data: OpenData) -> None:
        """Takes the trained model of another run of the same configuration.

        Args:
            other: The other run.
            data: Data for the evaluation of this run; its spec must be that of the model's data.
        """
        self.model, self.facts, self.shared, self.data = other.model, other.facts, other.shared, data
        self.build_batches()

    @property
    def seed(self) -> int:
        """Seed of the batch order; a domain's differs from the main run's."""
        if not self.domain:
            return self.config.seed
        return int(np.random.SeedSequence((self.config.seed, crc32(self.domain.encode()))).generate_state(1)[0])

    @property
    def all(self) -> Iterator[Run]:
        """The run and its further domains."""
        yield self
        yield from self.domains

    def domain_record(self, main: Run) -> dict[str, Any]:
        """Returns the content of ``record.json`` of a further domain."""
        own = own_parameters(main.model, self.model)
        return {
            "name": self.config.name,
            "domain": self.domain,
            "seed": self.config.seed,
            "fingerprint": self.data.fingerprint,
            "data_digest": self.data.log.digest,
            "data_report": self.data.log.report,
            "alpha": self.alpha,
            "shared": list(self.shared),
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "own_parameters": sum(parameter.numel() for parameter in own.values()),
        }


@contextmanager
def _naming(domain: str) -> Iterator[None]:
    """Adds the domain's name to an error that names options of the data."""
    try:
        yield
    except ValueError as error:
        if isinstance(error, DataError) or str(error).startswith(("data.", "split", "alpha ")):
            raise DataError(f"domain.{domain}: {error}") from error
        raise


def cut_dates(data: OpenData) -> dict[str, str]:
    """Returns the local dates of the cuts and the last day by name."""
    split = data.split
    seconds = {
        "train_from": split.train_from_s,
        "validation_from": split.validation_from_s,
        "test_from": split.test_from_s,
        "last_day": split.end_s - 1,
    }
    return {name: local_date(second, data.log) for name, second in seconds.items()}


def knowing_until_test(data: OpenData) -> OpenData:
    """Returns data whose fitted statistics may come from the training and validation parts."""
    return replace(data, spec=replace(data.spec, train_until_s=data.split.validation_until_s))
