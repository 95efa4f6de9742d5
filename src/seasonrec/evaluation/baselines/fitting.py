"""All baselines of a table, with weights chosen on the validation part."""

from __future__ import annotations

from dataclasses import replace

from seasonrec.batches.context.daily_counts import DailyCounts
from seasonrec.batches.context.item_groups import ItemGroups
from seasonrec.batches.context.share_index import ShareForm, SharesContext
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
    "last_year_id",
    "last_year_cluster",
    "last_year_text",
    "ease",
    "tifu_knn",
    "up_cf",
    "personal",
    "personal_recent",
    "personal_recent_lift",
    "personal_last_year",
    "personal_by_history",
)
"""Row names, simplest first."""

LAST_YEAR = tuple(name for name in BASELINES if "last_year" in name)
"""Rows that exist only if the training part holds a yearly cycle; those by cluster and text also need texts."""

HALF_WINDOWS_DAYS = (3, 7, 10, 14, 21, 28)
"""Days on each side of the day a year ago that the rows of last year's sales try."""

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


def last_year_mixtures(groups: ItemGroups | None) -> dict[str, list[SharesContext]]:
    """Returns the settings of the rows of last year's sales; without groups of items only those by id."""
    forms: tuple[ShareForm, ...] = ("id",) if groups is None else ("id", "cluster", "text")
    alone = replace(POPULARITY, windows_days=(), groups=groups)
    return {
        f"last_year_{form}": [
            replace(alone, half_windows_days=(days,), last_year_by=(form,)) for days in HALF_WINDOWS_DAYS
        ]
        for form in forms
    }


def fit_baselines(
    log: EventLog, spec: DataSpec, split: Split, protocol: Protocol, groups: ItemGroups | None = None
) -> list[Fitted]:
    """Builds all baselines, in the order of ``BASELINES``; horizon and candidates are those of the protocol.

    Args:
        log: The prepared log.
        spec: Facts of the log.
        split: The cuts.
        protocol: Horizon and candidates.
        groups: Items with similar texts; None leaves out what reads texts.
    """
    has_last_year = spec.training_cycles >= 1.0
    mixtures = {**MIXTURES, **(last_year_mixtures(groups) if has_last_year else {})}
    counts = DailyCounts(log)
    fitter = ShareFitter(log, counts, split, protocol)
    counting, ranking = CounterFitter(log, counts, fitter), RankerFitter(log, split, protocol, fitter)
    baselines: list[Fitted] = [fitter.fit(name, settings) for name, settings in mixtures.items()]
    baselines += [counting.fit(counter) for counter in counters(has_last_year, groups)]
    baselines += [ranking.fit(ranker) for ranker in (EASE, TIFU_KNN, UP_CF)]
    return sorted(baselines, key=lambda baseline: BASELINES.index(baseline.name))
