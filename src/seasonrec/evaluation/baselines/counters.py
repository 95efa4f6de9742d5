"""Counters beyond plain mixtures: last year's season, lifts of recent sales, weights by the length of the history."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from seasonrec.batches.context.daily_counts import DailyCounts
from seasonrec.batches.context.item_groups import ItemGroups
from seasonrec.batches.context.own_history import OwnHistory
from seasonrec.batches.context.share_index import ShareForm, SharesContext, SharesIndex
from seasonrec.batches.requests import Requests
from seasonrec.data.log import EventLog
from seasonrec.evaluation.baselines.evidence import Evidence, LiftOptions, LiftTables
from seasonrec.evaluation.baselines.fitter import HALF_LIVES_DAYS, ShareFitter
from seasonrec.evaluation.baselines.likelihood import FIT_STEPS, Observed, fit, log_likelihood
from seasonrec.evaluation.baselines.log_linear import LogLinear
from seasonrec.evaluation.baselines.own_features import OWN_FEATURES, own_features

SETTINGS = 6
"""Number of settings that every tuned row tries, so that no row has a larger budget than another."""

FITTED_REQUESTS, FITTED_EVENTS = 3_400, 1 << 22
"""Largest number of validation requests of a fit, and of the events in their histories, which decide its memory."""
CHOICE_EVERY, CHOICE_STEPS = 8, 15
"""One of so many requests of the fit takes part in the choice of a setting, which needs fewer steps."""

BIN_QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Quantiles of the number of known baskets of validation requests at which a bin begins."""

OWN = (None, *HALF_LIVES_DAYS)
RECENT = SharesContext(windows_days=(7, 28, None), own_half_lives_days=OWN)
FINE = replace(RECENT, windows_days=(3, 7, 14, 28, 56, None))


@dataclass(frozen=True)
class Setting:
    """A setting of a counter.

    Args:
        shares: Parts of the mixture.
        lifts: Lifts that have exponents.
    """

    shares: SharesContext = RECENT
    lifts: LiftOptions = field(default_factory=LiftOptions)


LIFTS = tuple(
    LiftOptions(windows_days=windows, prior_events=prior)
    for windows in ((7, 28), (3, 7, 28), (1, 7, 28, 84))
    for prior in (1.0, 5.0)
)


@dataclass(frozen=True)
class Counter:
    """A log-linear counter before its fit.

    Args:
        name: Row name.
        settings: Settings to choose from on the validation part.
        by_history: Whether mixture weights depend on the number of known baskets.
        own_features: Whether own features have exponents.
    """

    name: str
    settings: Sequence[Setting]
    by_history: bool = False
    own_features: bool = False

    def __post_init__(self) -> None:
        if len(self.settings) != SETTINGS:
            raise ValueError(f"settings must hold {SETTINGS} entries, got {len(self.settings)}; equal budgets compare.")


@dataclass(frozen=True)
class LogLinearBaseline:
    """A fitted log-linear counter that scores requests.

    Args:
        name: Row name.
        shares: Shares of requests.
        lifts: Lifts by day.
        model: Fitted parameters.
        chosen: Values chosen on validation, for the record.
    """

    name: str
    shares: SharesIndex
    lifts: LiftTables
    model: LogLinear
    chosen: dict[str, object] = field(default_factory=dict)

    def score(self, requests: Requests) -> Tensor:
        """Returns ``(N, V)`` log probabilities."""
        return self.model.log_probabilities(self.evidence(requests, self.shares.own(requests)))

    def evidence(self, requests: Requests, own: OwnHistory) -> Evidence:
        """Returns the evidence of requests, whose own purchases are given."""
        features = own_features(own) if len(self.model.own) else own.decayed[:, :0]
        shares = self.shares.with_history(self.shares.of_sales(requests), own)
        return Evidence(shares, self.lifts(requests), features, own.user_baskets)


class CounterFitter:
    """Choice of a setting and fit of the parameters, both by the likelihood of validation targets.

    Args:
        log: The prepared log.
        counts: Daily counts of the log.
        fitter: Validation requests and candidates.
    """

    def __init__(self, log: EventLog, counts: DailyCounts, fitter: ShareFitter) -> None:
        self.counts, self.fitter = counts, fitter
        requests = _thinned(log, fitter.requests)
        own = fitter.index(RECENT).own
        self.all = (requests, own(requests))
        self.some = (requests[::CHOICE_EVERY], own(requests[::CHOICE_EVERY]))
        self._indices: dict[SharesContext, SharesIndex] = {}

    def fit(self, counter: Counter) -> LogLinearBaseline:
        """Returns the counter with the best of its settings and the parameters of maximum likelihood."""
        tried = [self._fit(self._start(counter, one), self.some, CHOICE_STEPS) for one in counter.settings]
        best = min(range(SETTINGS), key=lambda place: tried[place][1])
        found, bits = self._fit(tried[best][0], self.all, FIT_STEPS)
        chosen = {"tried": SETTINGS, "requests": len(self.all[0]), "validation_bits": bits, **_record(found)}
        return replace(found, chosen=chosen)

    def _start(self, counter: Counter, setting: Setting) -> LogLinearBaseline:
        """Returns the counter with a setting and without exponents."""
        if setting.shares not in self._indices:
            self._indices[setting.shares] = self.fitter.index(setting.shares)
        edges = _edges(self.all[1].user_baskets, counter.by_history)
        sizes = len(setting.lifts.names), len(OWN_FEATURES) * counter.own_features
        logits = torch.zeros(len(edges) + 1, len(setting.shares.names))
        model = LogLinear(edges, logits, *(torch.zeros(size) for size in sizes))
        return LogLinearBaseline(
            counter.name, self._indices[setting.shares], LiftTables(self.counts, setting.lifts), model
        )

    def _fit(
        self, start: LogLinearBaseline, known: tuple[Requests, OwnHistory], steps: int
    ) -> tuple[LogLinearBaseline, float]:
        """Returns the fitted counter and the bits of the targets that it was fitted on."""
        requests, own = known
        observed = Observed.of(start.evidence(requests, own), *self.fitter.targets(requests))
        model = fit(observed, start.model, steps)
        return replace(start, model=model), -float(log_likelihood(model, observed).double().mean()) / math.log(2.0)


def counters(has_last_year: bool, groups: ItemGroups | None = None) -> list[Counter]:
    """Returns the counters to fit.

    Args:
        has_last_year: Whether the log holds last year's season.
        groups: Items with similar texts; None without texts.
    """
    years = (14,) if has_last_year else ()
    shares = replace(FINE, half_windows_days=years)
    rows = [
        Counter("personal_recent_lift", [Setting(lifts=lifts) for lifts in LIFTS]),
        Counter(
            "personal_by_history",
            [Setting(shares, replace(lifts, half_windows_days=years)) for lifts in LIFTS],
            by_history=True,
            own_features=True,
        ),
    ]
    return [*rows, Counter("personal_last_year", _last_years(groups))] if has_last_year else rows


def _last_years(groups: ItemGroups | None) -> list[Setting]:
    """Returns the settings of ``personal_recent`` with the forms of last year's sales."""
    forms: tuple[ShareForm, ...] = ("id",) if groups is None else ("id", "cluster", "text")
    recent = replace(RECENT, last_year_by=forms, groups=groups)
    return [
        Setting(replace(recent, half_windows_days=(days,)), LiftOptions(half_windows_days=(days,), prior_events=prior))
        for days in (7, 14, 21)
        for prior in (1.0, 5.0)
    ]


def _record(found: LogLinearBaseline) -> dict[str, object]:
    model, lifts = found.model, found.lifts.options
    exponents = [*lifts.names, *OWN_FEATURES[: len(model.own)]]
    return {
        "lift_prior_events": lifts.prior_events,
        "baskets_from": model.edges.tolist(),
        "weights": dict(zip(found.shares.options.names, model.weights.T.tolist(), strict=True)),
        "exponents": dict(zip(exponents, torch.cat([model.lift, model.own]).tolist(), strict=True)),
    }


def _edges(user_baskets: Tensor, by_history: bool) -> Tensor:
    if not by_history:
        return user_baskets.new_zeros(0)
    edges = np.ceil(np.quantile(user_baskets.numpy(), BIN_QUANTILES)).clip(min=1.0)
    return torch.from_numpy(np.unique(edges).astype(np.float32))


def _thinned(log: EventLog, requests: Requests) -> Requests:
    known = log.basket_offsets[log.baskets_before(requests.users, requests.known_until_s)]
    events = int((known - log.user_offsets[requests.users]).sum())
    return requests[:: max(1, math.ceil(len(requests) / FITTED_REQUESTS), math.ceil(events / FITTED_EVENTS))]
