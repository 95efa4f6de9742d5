"""Counters beyond plain mixtures: last year's season, lifts of recent sales, weights by the length of the history."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from seasonrec.batches.context.own_history import OwnHistoryIndex
from seasonrec.batches.requests import Requests, gather_ranges
from seasonrec.data.log import EventLog
from seasonrec.evaluation.baselines.components import PersonalComponents, PopularityComponents
from seasonrec.evaluation.baselines.evidence import DayOptions, DayTables, read_evidence
from seasonrec.evaluation.baselines.likelihood import FIT_STEPS, Observed, fit, log_likelihood
from seasonrec.evaluation.baselines.log_linear import LogLinear
from seasonrec.evaluation.baselines.own_features import OWN_FEATURES

SETTINGS = 6
"""Number of settings that every row of this module tries, so that no row has a larger budget than another."""

FITTED_REQUESTS, FITTED_EVENTS = 3_400, 1 << 22
"""Largest number of validation requests of a fit, and of the events in their histories, which decide its memory."""
CHOICE_EVERY, CHOICE_STEPS = 8, 15
"""One of so many requests of the fit takes part in the choice of a setting, which needs fewer steps."""

BIN_QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Quantiles of the number of known baskets of validation requests at which a bin begins."""

LIFTS = tuple(
    DayOptions(lift_windows_days=windows, lift_prior_events=prior)
    for windows in ((7, 28), (3, 7, 28), (1, 7, 28, 84))
    for prior in (1.0, 5.0)
)
LAST_YEARS = tuple(
    DayOptions(half_window_days=days, lift_prior_events=prior) for days in (7, 14, 21) for prior in (1.0, 5.0)
)
FINE_WINDOWS_DAYS = (3, 7, 14, 28, 56, None)


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
    settings: Sequence[DayOptions]
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
        tables: Tables of days.
        index: Own purchases.
        model: Fitted parameters.
        chosen: Values chosen on validation, for the record.
    """

    name: str
    tables: DayTables
    index: OwnHistoryIndex
    model: LogLinear
    chosen: dict[str, object] = field(default_factory=dict)

    def score(self, requests: Requests) -> Tensor:
        """Returns ``(N, V)`` log probabilities."""
        return self.model.log_probabilities(read_evidence(self.tables, self.index, requests, len(self.model.own) > 0))


class CounterFitter:
    """Choice of a setting and fit of the parameters, both by the likelihood of validation targets.

    Args:
        log: The prepared log.
        popular: Counts of the log.
        personal: Own purchases.
        requests: Validation requests, evenly spaced.
    """

    def __init__(
        self, log: EventLog, popular: PopularityComponents, personal: PersonalComponents, requests: Requests
    ) -> None:
        self.log, self.popular, self.index = log, popular, personal.index
        self.own_names = ["count", *(f"half_life_{days:g}d" for days in personal.half_lives_days)]
        self.requests = _thinned(log, requests)

    def fit(self, counter: Counter) -> LogLinearBaseline:
        """Returns the counter with the best of its settings and the parameters of maximum likelihood."""
        some = self.requests[::CHOICE_EVERY]
        tried = [self._fit(counter, DayTables(self.popular, one), some, CHOICE_STEPS) for one in counter.settings]
        best = min(range(SETTINGS), key=lambda place: tried[place][1])
        tables = DayTables(self.popular, counter.settings[best])
        model, bits = self._fit(counter, tables, self.requests, FIT_STEPS, tried[best][0])
        chosen = self._record(tables.options, model, counter)
        chosen = {"tried": SETTINGS, "requests": len(self.requests), "validation_bits": bits, **chosen}
        return LogLinearBaseline(counter.name, tables, self.index, model, chosen)

    def _fit(
        self, counter: Counter, tables: DayTables, requests: Requests, steps: int, start: LogLinear | None = None
    ) -> tuple[LogLinear, float]:
        """Returns the fitted parameters and the bits of the targets that they were fitted on."""
        evidence = read_evidence(tables, self.index, requests, counter.own_features)
        offsets = self.log.basket_offsets
        request, event = gather_ranges(offsets[requests.baskets], offsets[requests.baskets + 1])
        item = self.log.event_items[event].astype(np.int64)
        observed = Observed.of(evidence, torch.from_numpy(request), torch.from_numpy(item))
        edges = start.edges if start else _edges(evidence.user_baskets, counter.by_history)
        model = fit(observed, edges, start, steps)
        return model, -float(log_likelihood(model, observed).double().mean()) / math.log(2.0)

    def _record(self, options: DayOptions, model: LogLinear, counter: Counter) -> dict[str, object]:
        names = [*self.own_names, *options.share_names]
        exponents = [*options.lift_names, *(OWN_FEATURES if counter.own_features else ())]
        return {
            "half_window_days": options.half_window_days,
            "lift_windows_days": options.lift_windows_days,
            "lift_prior_events": options.lift_prior_events,
            "baskets_from": model.edges.tolist(),
            "weights": dict(zip(names, model.weights.T.tolist(), strict=True)),
            "exponents": dict(zip(exponents, torch.cat([model.lift, model.own]).tolist(), strict=True)),
        }


def counters(has_last_year: bool) -> list[Counter]:
    """Returns the counters to fit; with ``has_last_year`` the log holds last year's season."""
    fine = [
        replace(one, windows_days=FINE_WINDOWS_DAYS, half_window_days=14 if has_last_year else None) for one in LIFTS
    ]
    rows = [
        Counter("personal_recent_lift", LIFTS),
        Counter("personal_by_history", fine, by_history=True, own_features=True),
    ]
    return [*rows, Counter("last_year", LAST_YEARS)] if has_last_year else rows


def _edges(user_baskets: Tensor, by_history: bool) -> Tensor:
    if not by_history:
        return user_baskets.new_zeros(0)
    edges = np.ceil(np.quantile(user_baskets.numpy(), BIN_QUANTILES)).clip(min=1.0)
    return torch.from_numpy(np.unique(edges).astype(np.float32))


def _thinned(log: EventLog, requests: Requests) -> Requests:
    known = log.basket_offsets[log.baskets_before(requests.users, requests.known_until_s)]
    events = int((known - log.user_offsets[requests.users]).sum())
    return requests[:: max(1, math.ceil(len(requests) / FITTED_REQUESTS), math.ceil(events / FITTED_EVENTS))]
