"""Batches of several domains in one stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.loader import TrainingLoader


class SizedBatches(Protocol):
    """Batches whose number is known."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[SequenceBatch]: ...


class DomainBatches(NamedTuple):
    """Training batches of a further domain, and the exponent of their frequency; see :class:`MixedLoader`."""

    loader: TrainingLoader
    alpha: float


class MixedLoader:
    """Loader that mixes batches of a main domain and of further domains.

    In an epoch, each batch of the main domain comes once. A further domain adds
    ``(requests of the domain / requests of the main domain) ** alpha`` batches per main batch, rounded to a whole
    number per epoch, and at least one. With ``alpha = 1`` each domain is read as often as the main one. With
    ``alpha = 0`` each domain gives the same number of batches, so that a small domain is read many times. A further
    domain continues where it stopped in the previous epoch, and starts again at its own end.

    The order is shuffled; it depends on ``(seed, epoch)`` only. All processes have the same domain at each step.
    """

    def __init__(self, main: TrainingLoader, domains: Mapping[str, DomainBatches], seed: int) -> None:
        self.main = main
        self.domains = domains
        self.seed = seed
        self.counts = {name: _batches_per_epoch(main, domain) for name, domain in domains.items()}
        self.epoch = 0
        self.position = 0

    def __len__(self) -> int:
        return len(self.main) + sum(self.counts.values())

    def __iter__(self) -> Iterator[SequenceBatch]:
        if self.position >= len(self):
            self.epoch, self.position = self.epoch + 1, 0
        main = iter(self.main)
        others = {name: _endless(domain.loader) for name, domain in self.domains.items()}
        names = tuple(self.domains)
        for place in self.order(self.epoch)[self.position :]:
            batch = next(main) if place == 0 else of_domain(next(others[names[place - 1]]), names[place - 1])
            self.position += 1
            yield batch

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Returns the domain of each batch of an epoch: 0 for the main domain, then the others in the given order."""
        numbers = np.repeat(np.arange(1 + len(self.counts)), [len(self.main), *self.counts.values()])
        return np.random.default_rng((self.seed, epoch, 0, 0, 2)).permutation(numbers)

    def state_dict(self) -> dict[str, Any]:
        """Returns the positions in the mixed epoch and in the epoch of each domain."""
        return {
            "epoch": self.epoch,
            "position": self.position,
            "main": self.main.state_dict(),
            "domains": {name: domain.loader.state_dict() for name, domain in self.domains.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.epoch, self.position = state["epoch"], state["position"]
        self.main.load_state_dict(state["main"])
        for name, domain in self.domains.items():
            domain.loader.load_state_dict(state["domains"][name])


class InTurn:
    """Validation batches of the main domain, then those of the further domains."""

    def __init__(self, main: SizedBatches, domains: Mapping[str, SizedBatches]) -> None:
        self.main = main
        self.domains = domains

    def __len__(self) -> int:
        return len(self.main) + sum(len(batches) for batches in self.domains.values())

    def __iter__(self) -> Iterator[SequenceBatch]:
        yield from self.main
        for name, batches in self.domains.items():
            yield from (of_domain(batch, name) for batch in batches)


def of_domain(batch: SequenceBatch, name: str) -> SequenceBatch:
    """Returns the batch with the name of its domain."""
    return replace(batch, domain=name)


def _batches_per_epoch(main: TrainingLoader, domain: DomainBatches) -> int:
    ratio = domain.loader.num_requests / main.num_requests
    return max(1, round(len(main) * ratio**domain.alpha))


def _endless(batches: Iterable[SequenceBatch]) -> Iterator[SequenceBatch]:
    while True:
        yield from batches
