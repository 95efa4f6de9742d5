"""All baselines of a table, with weights chosen on the validation part."""

from __future__ import annotations

from dataclasses import replace

from seasonrec.batches.context.daily_counts import DailyCounts
from seasonrec.batches.context.share_index import SharesContext
from seasonrec.batches.splits import Split
from seasonrec.data.log import EventLog
from seasonrec.data.spec import DataSpec
from seasonrec.evaluation.baselines.counters import OWN, RECENT, CounterFitter, counters
from seasonrec.evaluation.baselines.fitter import HALF_LIVES_DAYS, Fitted, ShareFitter
from seasonrec.evaluation.baselines.rankers import EASE, TIFU_KNN, UP_CF, RankerFitter
from seasonrec.evaluation.known_truth.kinds import ORACLE
from seasonrec.evaluation.protocol import Protocol

BASELINES = (
    "popularity",
    "recent_7d",
    "recent_28d",
    "decayed",
    "ease",
    "tifu_knn",
    "up_cf",
    "last_year",
    "personal",
    "personal_recent",
    "personal_recent_lift",
    "personal_by_history",
)
"""Row names, simplest first; ``last_year`` exists only if the training part holds a yearly cycle."""

POPULARITY = SharesContext(windows_days=(None,), own_half_lives_days=())

MIXTURES = {
    "popularity": [POPULARITY],
    "recent_7d": [replace(POPULARITY, windows_days=(7,))],
    "recent_28d": [replace(POPULARITY, windows_days=(28,))],
    "decayed": [replace(POPULARITY, windows_days=(), half_lives_days=(days,)) for days in (3.5, *HALF_LIVES_DAYS)],
    "personal": [replace(POPULARITY, own_half_lives_days=OWN)],
    "personal_recent": [RECENT],
}
"""Settings of the rows that are mixtures of shares; each has a uniform floor and a newborn share as well."""


UNTRAINED_ROWS = (*BASELINES, ORACLE)
"""Rows of a table that no training makes; the oracle exists only for a generated log, whose truth is known."""


def fit_baselines(log: EventLog, spec: DataSpec, split: Split, protocol: Protocol) -> list[Fitted]:
    """Builds all baselines, in the order of ``BASELINES``; horizon and candidates are those of the protocol."""
    counts = DailyCounts(log)
    fitter = ShareFitter(log, counts, split, protocol)
    counting, ranking = CounterFitter(log, counts, fitter), RankerFitter(log, split, protocol, fitter)
    baselines: list[Fitted] = [fitter.fit(name, settings) for name, settings in MIXTURES.items()]
    baselines += [counting.fit(counter) for counter in counters(spec.training_cycles >= 1.0)]
    baselines += [ranking.fit(ranker) for ranker in (EASE, TIFU_KNN, UP_CF)]
    return sorted(baselines, key=lambda baseline: BASELINES.index(baseline.name))
