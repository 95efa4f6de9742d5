"""The six baselines, with every weight chosen on the validation part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.data.log import EventLog
from seasonrec.data.requests import Requests
from seasonrec.data.spec import DataSpec
from seasonrec.data.splits import Split
from seasonrec.evaluation.baselines.components import PersonalComponents, PopularityComponents
from seasonrec.evaluation.baselines.mixture import fit_mixture, mix
from seasonrec.evaluation.protocol import Protocol

BASELINES = ("popularity", "recent_7d", "recent_28d", "decayed", "personal", "personal_recent")
"""Row names, weakest idea first."""

HALF_LIVES_DAYS = (7.0, 14.0, 28.0, 56.0, 112.0)
VALIDATION_REQUESTS = 6_000
"""Validation requests that the weights are chosen on, evenly spread; more change the third digit of a weight."""


@dataclass(frozen=True)
class Baseline:
    """A counter that scores requests.

    Args:
        name: Row name.
        probabilities: Requests to ``(N, V)`` probabilities.
        chosen: What was chosen on validation, for the record.
    """

    name: str
    probabilities: Callable[[Requests], Tensor]
    chosen: dict[str, object] = field(default_factory=dict)

    def score(self, requests: Requests) -> Tensor:
        """``(N, V)`` log probabilities."""
        return torch.log(self.probabilities(requests).clamp(min=1e-20))


def fit_baselines(log: EventLog, spec: DataSpec, split: Split, protocol: Protocol) -> list[Baseline]:
    """Builds all baselines; half-lives and mixture weights maximise the likelihood of validation targets.

    Args:
        log: The prepared log.
        spec: Facts of the data.
        split: The cuts; only the validation part is read for weights.
        protocol: Gives the horizon.

    Returns:
        One baseline for each name in ``BASELINES``, in that order.
    """
    popular = PopularityComponents(log)
    personal = PersonalComponents(log, spec, HALF_LIVES_DAYS)
    sample = _validation_sample(log, split, protocol)
    request, item = _targets(log, sample)

    def at_targets(components: list[Tensor]) -> Tensor:
        return torch.stack([component[request, item] for component in components], dim=1)

    def trends(requests: Requests) -> list[Tensor]:
        return [popular.window(requests, days) for days in (7, 28, None)]

    half_life = max(HALF_LIVES_DAYS, key=lambda days: float(at_targets([popular.decayed(sample, days)]).log().mean()))
    own_parts = [*personal.shares(sample), popular.window(sample, None)]
    own_weights = fit_mixture(at_targets(own_parts))
    all_parts = [*personal.shares(sample), *trends(sample)]
    all_weights = fit_mixture(at_targets(all_parts))
    names = ["count", *(f"half_life_{days:g}d" for days in HALF_LIVES_DAYS)]
    return [
        Baseline("popularity", lambda requests: popular.window(requests, None)),
        Baseline("recent_7d", lambda requests: popular.window(requests, 7)),
        Baseline("recent_28d", lambda requests: popular.window(requests, 28)),
        Baseline("decayed", lambda requests: popular.decayed(requests, half_life), {"half_life_days": half_life}),
        Baseline(
            "personal",
            lambda requests: mix([*personal.shares(requests), popular.window(requests, None)], own_weights),
            dict(zip([*names, "popularity"], own_weights.tolist(), strict=True)),
        ),
        Baseline(
            "personal_recent",
            lambda requests: mix([*personal.shares(requests), *trends(requests)], all_weights),
            dict(zip([*names, "recent_7d", "recent_28d", "popularity"], all_weights.tolist(), strict=True)),
        ),
    ]


def _validation_sample(log: EventLog, split: Split, protocol: Protocol) -> Requests:
    baskets = split.validation_baskets(log)
    step = max(1, len(baskets) // VALIDATION_REQUESTS)
    return Requests.of_baskets(log, baskets[::step], protocol.horizon_s)


def _targets(log: EventLog, requests: Requests) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    from seasonrec.data.requests import gather_ranges

    starts, stops = log.basket_offsets[requests.baskets], log.basket_offsets[requests.baskets + 1]
    request, event = gather_ranges(starts, stops)
    return request, log.event_items[event].astype(np.int64)
