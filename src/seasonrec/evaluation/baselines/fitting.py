"""All baselines of a table, with weights chosen on the validation part."""

from __future__ import annotations

from seasonrec.batches.splits import Split
from seasonrec.data.log import EventLog
from seasonrec.data.spec import DataSpec
from seasonrec.evaluation.baselines.components import PersonalComponents, PopularityComponents
from seasonrec.evaluation.baselines.counters import CounterFitter, counters
from seasonrec.evaluation.baselines.fitter import HALF_LIVES_DAYS, BaselineFitter, Fitted
from seasonrec.evaluation.baselines.rankers import EASE, TIFU_KNN, RankerFitter
from seasonrec.evaluation.protocol import Protocol

BASELINES = (
    "popularity",
    "recent_7d",
    "recent_28d",
    "decayed",
    "ease",
    "tifu_knn",
    "last_year",
    "personal",
    "personal_recent",
    "personal_recent_lift",
    "personal_by_history",
)
"""Row names, simplest first; ``last_year`` exists only if the training part holds a yearly cycle."""


def fit_baselines(log: EventLog, spec: DataSpec, split: Split, protocol: Protocol) -> list[Fitted]:
    """Builds all baselines, in the order of ``BASELINES``; the horizon is that of the protocol."""
    fitter = BaselineFitter(log, split, protocol)
    popular = PopularityComponents(log)
    personal = PersonalComponents(log, spec, HALF_LIVES_DAYS)
    half_life = fitter.best_half_life(popular)
    own = ["count", *(f"half_life_{days:g}d" for days in HALF_LIVES_DAYS)]
    baselines: list[Fitted] = [
        fitter.single("popularity", lambda requests: popular.window(requests, None)),
        fitter.single("recent_7d", lambda requests: popular.window(requests, 7)),
        fitter.single("recent_28d", lambda requests: popular.window(requests, 28)),
        fitter.single("decayed", lambda requests: popular.decayed(requests, half_life), half_life_days=half_life),
        fitter.mixed(
            "personal",
            lambda requests: [*personal.shares(requests), popular.window(requests, None)],
            [*own, "popularity"],
        ),
        fitter.mixed(
            "personal_recent",
            lambda requests: [*personal.shares(requests), *(popular.window(requests, days) for days in (7, 28, None))],
            [*own, "recent_7d", "recent_28d", "popularity"],
        ),
    ]
    counting = CounterFitter(log, popular, personal, fitter.requests)
    baselines += [counting.fit(counter) for counter in counters(spec.training_cycles >= 1.0)]
    ranking = RankerFitter(log, split, protocol, popular, fitter)
    baselines += [ranking.fit(EASE), ranking.fit(TIFU_KNN)]
    return sorted(baselines, key=lambda baseline: BASELINES.index(baseline.name))
