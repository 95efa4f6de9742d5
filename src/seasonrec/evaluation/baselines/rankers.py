"""Published recommenders that rank, with bits from a mixture with a uniform floor and a newborn share."""

from __future__ import annotations

import typing
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from seasonrec.batches.context.share_index import SharesContext, SharesIndex
from seasonrec.batches.context.shares import COUNTED, SMALLEST
from seasonrec.batches.requests import Requests
from seasonrec.batches.splits import Split
from seasonrec.data.log import EventLog
from seasonrec.evaluation.baselines.counters import SETTINGS
from seasonrec.evaluation.baselines.ease import TEMPERATURES, Ease, EaseCounts, EaseOptions
from seasonrec.evaluation.baselines.fitter import ShareFitter
from seasonrec.evaluation.baselines.mixture import fit_mixture, with_floor
from seasonrec.evaluation.baselines.tifu_knn import TifuKnn, TifuOptions
from seasonrec.evaluation.baselines.up_cf import UpCf, UpCfOptions
from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.ranking.evaluator import quick_metrics

CHOICE_EVERY, WEIGHTS_EVERY = 8, 4
"""One of so many validation requests takes part in the choice of a setting, and in that of the mixture's weights."""

NO_SALES = SharesContext(windows_days=(), own_half_lives_days=())
"""Shares that are uniform and newborn only."""

Options = TifuOptions | UpCfOptions | EaseOptions

Parts = Callable[[Requests], list[Tensor]]
"""Function from requests to probabilities of one order, each ``(N, V)``."""

Builder = Callable[[Options], Parts]


@dataclass(frozen=True)
class Ranker:
    """A published recommender before its fit.

    Args:
        name: Row name.
        settings: Settings to choose from on the validation part.
        build: Function from the log and the end of its training events to a function from a setting to its parts.
        parts: Names of these parts.
    """

    name: str
    settings: Sequence[Options]
    build: Callable[[EventLog, int], Builder]
    parts: Sequence[str]

    def __post_init__(self) -> None:
        if len(self.settings) != SETTINGS:
            raise ValueError(f"settings must hold {SETTINGS} entries, got {len(self.settings)}; equal budgets compare.")


@dataclass(frozen=True)
class RankerBaseline:
    """A fitted recommender, mixed with a uniform floor and a newborn share.

    Args:
        name: Row name.
        parts: Probabilities of the recommender.
        floor: The uniform and the newborn share.
        weights: ``(K,)`` weights of the parts, the floor's last.
        chosen: Values chosen on validation, for the record.
    """

    name: str
    parts: Parts
    floor: SharesIndex
    weights: Tensor = field(default_factory=lambda: torch.ones(1))
    chosen: dict[str, object] = field(default_factory=dict)

    def score(self, requests: Requests) -> Tensor:
        """Returns ``(N, V)`` log probabilities."""
        parts, present = self.over_candidates(requests)
        weights = self.weights / (present.float() @ self.weights)[:, None]  # (N, K)
        dense = torch.zeros_like(parts[0])
        for part, weight in zip(parts, weights.unbind(1), strict=True):
            dense.addcmul_(part, weight[:, None])
        return dense.clamp(min=SMALLEST).log()

    def over_candidates(self, requests: Requests) -> tuple[list[Tensor], Tensor]:
        """Returns the ``K`` parts, each ``(N, V)`` with the sum 1 over the candidates or 0, and which are not 0."""
        shares = self.floor(requests)
        floor = [shares.mixed(weights.expand(len(requests), -1)) for weights in torch.eye(COUNTED)]
        candidates = floor[0] > 0
        parts = [part * candidates for part in self.parts(requests)]
        totals = [part.sum(1, keepdim=True) for part in parts]
        parts = [part / total.clamp(min=SMALLEST) for part, total in zip(parts, totals, strict=True)]
        present = torch.cat([*(total > 0 for total in totals), shares.present], dim=1)
        return [*parts, *floor], present


class RankerFitter:
    """Choice of a setting by NDCG@10, for which these recommenders are made, and of mixture weights by likelihood.

    Args:
        log: The prepared log.
        split: The cuts; item and user tables end with training, and where the first validation request's history ends.
        protocol: Horizon and candidates.
        fitter: Requests of the validation part, and the shares of the floor.
    """

    def __init__(self, log: EventLog, split: Split, protocol: Protocol, fitter: ShareFitter) -> None:
        self.log, self.protocol, self.fitter = log, protocol, fitter
        known_until_s = protocol.horizon(split, log.timezone).known_until_s(np.array([split.validation_from_s]))
        self.until_s = min(split.train_until_s, int(known_until_s[0]))
        self.floor = fitter.index(NO_SALES)

    def fit(self, ranker: Ranker) -> RankerBaseline:
        """Returns the recommender with the best of its settings, mixed with a floor."""
        requests = self.fitter.requests[::CHOICE_EVERY]
        build = ranker.build(self.log, self.until_s)
        tried = [self._ndcg(build(one), requests) for one in ranker.settings]
        best = max(range(SETTINGS), key=lambda place: tried[place])
        found = RankerBaseline(ranker.name, build(ranker.settings[best]), self.floor)
        weights = with_floor(fit_mixture(*self._at_targets(found)), -COUNTED)
        names = [*ranker.parts, *NO_SALES.names]
        chosen: dict[str, object] = {"tried": SETTINGS, "requests": len(requests), "validation_ndcg@10": tried[best]}
        chosen |= {**asdict(ranker.settings[best]), "weights": dict(zip(names, weights.tolist(), strict=True))}
        return replace(found, weights=weights, chosen=chosen)

    def _at_targets(self, found: RankerBaseline) -> tuple[Tensor, Tensor]:
        """Returns the targets' ``(M, K)`` probabilities under every part, and whether the part is present."""
        pieces = []
        for requests, request, item in self.fitter.chunks(self.fitter.requests[::WEIGHTS_EVERY]):
            parts, present = found.over_candidates(requests)
            pieces.append((torch.stack([part[request, item] for part in parts], dim=1), present[request]))
        probabilities, present = (torch.cat(column) for column in zip(*pieces, strict=True))
        return probabilities, present

    def _ndcg(self, parts: Parts, requests: Requests) -> float:
        return quick_metrics(_Alone(parts), self.log, requests, self.protocol)["ndcg@10"]


@dataclass(frozen=True)
class _Alone:
    """The order of a recommender, without a floor."""

    parts: Parts
    name: str = "scores"

    def score(self, requests: Requests) -> Tensor:
        return self.parts(requests)[0]


def _ease(log: EventLog, until_s: int) -> Builder:
    counts = EaseCounts(log, until_s)
    return lambda options: Ease(counts, typing.cast(EaseOptions, options)).probabilities


def _scores_of(recommender: Callable[..., Callable[[Requests], Tensor]]) -> Callable[[EventLog, int], Builder]:
    """Returns the ``build`` of a recommender whose scores are its only part."""

    def parts(log: EventLog, until_s: int, options: Options) -> Parts:
        scores = recommender(log, until_s, options)
        return lambda requests: [scores(requests)]

    return lambda log, until_s: partial(parts, log, until_s)


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
    _scores_of(TifuKnn),
    ["scores"],
)

UP_CF = Ranker(
    "up_cf",
    [
        UpCfOptions(5, 0.25, 5.0),
        UpCfOptions(25, 0.25, 5.0),
        UpCfOptions(25, 0.25, 10.0),
        UpCfOptions(25, 0.75, 10.0),
        UpCfOptions(100, 0.25, 10.0),
        UpCfOptions(None, 0.25, 5.0),
    ],
    _scores_of(UpCf),
    ["scores"],
)
