"""Published recommenders that rank, with bits from a mixture with a uniform floor and a newborn share."""

from __future__ import annotations

import typing
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from seasonrec.batches.requests import Requests
from seasonrec.batches.splits import Split
from seasonrec.data.log import EventLog
from seasonrec.evaluation.baselines.components import PopularityComponents
from seasonrec.evaluation.baselines.counters import SETTINGS
from seasonrec.evaluation.baselines.ease import TEMPERATURES, Ease, EaseCounts, EaseOptions
from seasonrec.evaluation.baselines.evidence import DayOptions, DayTables
from seasonrec.evaluation.baselines.fitter import Baseline, BaselineFitter, Probabilities
from seasonrec.evaluation.baselines.mixture import fit_mixture
from seasonrec.evaluation.baselines.tifu_knn import TifuKnn, TifuOptions
from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.ranking.evaluator import quick_metrics

CHOICE_EVERY, WEIGHTS_EVERY = 8, 4
"""One of so many validation requests takes part in the choice of a setting, and in that of the mixture's weights."""

SMALLEST_WEIGHT = 1e-5
"""Smallest weight of the floor, so that an item without a score keeps a probability."""

Options = TifuOptions | EaseOptions

Builder = Callable[[Options], Probabilities]


@dataclass(frozen=True)
class Ranker:
    """A published recommender before its fit.

    Args:
        name: Row name.
        settings: Settings to choose from on the validation part.
        build: Function from the log and the end of its training events to a function from a setting to probabilities of
            one order.
        parts: Names of these probabilities.
    """

    name: str
    settings: Sequence[Options]
    build: Callable[[EventLog, int], Builder]
    parts: Sequence[str]

    def __post_init__(self) -> None:
        if len(self.settings) != SETTINGS:
            raise ValueError(f"settings must hold {SETTINGS} entries, got {len(self.settings)}; equal budgets compare.")


class RankerFitter:
    """Choice of a setting by NDCG@10, for which these recommenders are made, and of mixture weights by likelihood.

    Args:
        log: The prepared log.
        split: The cuts; item and user tables end at the validation cut, less the horizon.
        protocol: Horizon and candidates.
        popular: Counts of the log.
        fitter: Requests of the validation part.
    """

    def __init__(
        self, log: EventLog, split: Split, protocol: Protocol, popular: PopularityComponents, fitter: BaselineFitter
    ) -> None:
        self.log, self.protocol, self.fitter = log, protocol, fitter
        self.until_s = split.validation_from_s - protocol.horizon_s
        self.floor = DayTables(popular, DayOptions(windows_days=()))

    def fit(self, ranker: Ranker) -> Baseline:
        """Returns the recommender with the best of its settings, mixed with a floor."""
        baskets = self.fitter.requests.baskets[::CHOICE_EVERY]
        build = ranker.build(self.log, self.until_s)
        tried = [self._ndcg(build(one), baskets) for one in ranker.settings]
        best = max(range(SETTINGS), key=lambda place: tried[place])
        scores = build(ranker.settings[best])

        def components(requests: Requests) -> list[torch.Tensor]:
            row, floor, _ = self.floor(requests)
            return [*scores(requests), *floor[row].unbind(2)]

        weights = fit_mixture(self.fitter.at_targets(components, WEIGHTS_EVERY)).clamp(min=SMALLEST_WEIGHT)
        weights = weights / weights.sum()
        names = [*ranker.parts, *self.floor.options.share_names]
        chosen = {"tried": SETTINGS, "validation_ndcg@10": tried[best], **asdict(ranker.settings[best])}
        chosen["weights"] = dict(zip(names, weights.tolist(), strict=True))
        return Baseline(ranker.name, components, weights, chosen)

    def _ndcg(self, scores: Probabilities, baskets: NDArray[np.int64]) -> float:
        alone = Baseline("scores", lambda requests: scores(requests)[:1], torch.ones(1))
        return quick_metrics(alone, self.log, baskets, self.protocol)["ndcg@10"]


def _ease(log: EventLog, until_s: int) -> Builder:
    counts = EaseCounts(log, until_s)
    return lambda options: Ease(counts, typing.cast(EaseOptions, options)).probabilities


def _tifu_knn(log: EventLog, until_s: int) -> Builder:
    def build(options: Options) -> Probabilities:
        scores = TifuKnn(log, until_s, typing.cast(TifuOptions, options))
        return lambda requests: [scores(requests)]

    return build


EASE = Ranker(
    "ease",
    [EaseOptions(l2) for l2 in (200.0, 500.0, 1_000.0, 2_000.0, 4_000.0, 8_000.0)],
    _ease,
    [f"softmax_{factor:g}" for factor in TEMPERATURES],
)

TIFU_KNN = Ranker(
    "tifu_knn",
    [
        TifuOptions(3, 0.9, 0.7, 900, 0.9),
        TifuOptions(7, 0.9, 0.7, 300, 0.7),
        TifuOptions(7, 0.9, 0.8, 300, 0.9),
        TifuOptions(7, 0.95, 0.8, 300, 0.8),
        TifuOptions(7, 0.95, 0.8, 900, 0.7),
        TifuOptions(7, 1.0, 0.9, 900, 0.7),
    ],
    _tifu_knn,
    ["scores"],
)
