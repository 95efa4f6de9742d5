"""Mixtures of counters, and their fit on the validation part."""

from __future__ import annotations

import typing
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from seasonrec.batches.requests import Requests, gather_ranges
from seasonrec.batches.splits import Split
from seasonrec.data.log import EventLog
from seasonrec.evaluation.baselines.components import PopularityComponents
from seasonrec.evaluation.baselines.mixture import fit_mixture, mix
from seasonrec.evaluation.protocol import Protocol

HALF_LIVES_DAYS = (7.0, 14.0, 28.0, 56.0, 112.0)
VALIDATION_REQUESTS = 6_000
"""Number of validation requests for the choice of weights, evenly spaced."""
CHUNK, CHUNK_CELLS = 512, 1 << 26
"""Largest number of requests of a chunk, and of requests times items."""

Probabilities = Callable[[Requests], list[Tensor]]
"""Function from requests to component probabilities, each ``(N, V)``."""


class Fitted(typing.Protocol):
    """A baseline with all its parameters."""

    @property
    def name(self) -> str:
        """Row of the table."""
        ...

    @property
    def chosen(self) -> dict[str, object]:
        """Values chosen on validation, for the record."""
        ...

    def score(self, requests: Requests) -> Tensor:
        """Returns ``(N, V)`` log probabilities."""
        ...


@dataclass(frozen=True)
class Baseline:
    """Mixture of counters that scores requests.

    Args:
        name: Row name.
        components: Function from requests to component probabilities.
        weights: One weight per component; they sum to 1.
        chosen: Values chosen on validation, for the record.
    """

    name: str
    components: Probabilities
    weights: Tensor
    chosen: dict[str, object] = field(default_factory=dict)

    def score(self, requests: Requests) -> Tensor:
        """Returns ``(N, V)`` log probabilities."""
        return torch.log(mix(self.components(requests), self.weights).clamp(min=1e-20))


class BaselineFitter:
    """Choice of half-lives and mixture weights by the likelihood of validation targets."""

    def __init__(self, log: EventLog, split: Split, protocol: Protocol) -> None:
        self.log = log
        baskets = split.validation_baskets(log)
        step = max(1, len(baskets) // VALIDATION_REQUESTS)
        self.requests = Requests.of_baskets(log, baskets[::step], protocol.horizon_s)

    def at_targets(self, components: Probabilities, every: int = 1) -> Tensor:
        """Returns ``(M, C)`` probabilities of the targets of one of ``every`` requests under each component."""
        pieces = []
        asked = self.requests[::every]
        chunk = max(1, min(CHUNK, CHUNK_CELLS // self.log.num_items))
        for start in range(0, len(asked), chunk):
            requests = asked[start : start + chunk]
            offsets = self.log.basket_offsets
            request, event = gather_ranges(offsets[requests.baskets], offsets[requests.baskets + 1])
            item = self.log.event_items[event].astype(np.int64)
            pieces.append(torch.stack([one[request, item] for one in components(requests)], dim=1))
        return torch.cat(pieces)

    def single(self, name: str, component: Callable[[Requests], Tensor], **chosen: object) -> Baseline:
        """Returns a baseline of one component."""
        return Baseline(name, lambda requests: [component(requests)], torch.ones(1), chosen)

    def mixed(self, name: str, components: Probabilities, names: list[str]) -> Baseline:
        """Returns a mixture with the weights of maximum likelihood."""
        weights = fit_mixture(self.at_targets(components))
        return Baseline(name, components, weights, dict(zip(names, weights.tolist(), strict=True)))

    def best_half_life(self, popular: PopularityComponents) -> float:
        """Returns the half-life whose decayed popularity gives the validation targets the maximum likelihood."""
        decayed = self.at_targets(lambda requests: [popular.decayed(requests, days) for days in HALF_LIVES_DAYS])
        return HALF_LIVES_DAYS[int(decayed.log().mean(0).argmax())]
