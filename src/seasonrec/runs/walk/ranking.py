"""Ranking of a period with today's weights, and the gate of an update."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isnan
from typing import Literal

import numpy as np
import polars as pl

from seasonrec.evaluation.groups.partitions import Partitions
from seasonrec.evaluation.ranking.evaluator import evaluate
from seasonrec.evaluation.ranking.scorers import ModelScorer
from seasonrec.evaluation.results.store import RunResults
from seasonrec.evaluation.results.targets import lower_is_better
from seasonrec.evaluation.slices.basket_tags import BasketTags
from seasonrec.evaluation.statistics.measured import measure
from seasonrec.evaluation.statistics.significance import compare
from seasonrec.runs.opening import OpenData, device_of
from seasonrec.runs.run import Run


@dataclass(frozen=True)
class Difference:
    """Difference of two weights on the same requests, the first minus the second.

    Args:
        metric: Metric of the targets.
        value: Difference of the means; None where there is no target.
        low: Lower end of the 95% interval over users; None with fewer than five users.
        high: Upper end.
        n: Targets.
        users: Users.
    """

    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    users: int

    @property
    def verdict(self) -> Literal["live", "worse", "unjudged"]:
        """``worse`` if the whole interval is on the worse side, ``unjudged`` without one, else ``live``."""
        if self.low is None or self.high is None:
            return "unjudged"
        is_worse = self.low > 0 if lower_is_better(self.metric) else self.high < 0
        return "worse" if is_worse else "live"


def tags_between(data: OpenData, from_s: int, until_s: int) -> BasketTags:
    """Returns the tagged baskets of a period."""
    split = replace(data.split, test_from_s=from_s, end_s=until_s)
    return BasketTags.of(data.log, split, replace(data.protocol, part="test"))


def between(tags: BasketTags, from_s: int, until_s: int) -> BasketTags:
    """Returns the tags of the baskets of a part of their period."""
    times_s = tags.requests["request_time_s"].to_numpy()
    return tags.where((times_s >= from_s) & (times_s < until_s))


def evenly_of(tags: BasketTags, most: int) -> BasketTags:
    """Returns the tags of at most ``most`` baskets, evenly spaced in the log."""
    count = len(tags.baskets)
    kept = np.zeros(count, dtype=np.bool_)
    kept[np.linspace(0, count - 1, min(most, count)).astype(np.int64)] = True
    return tags.where(kept)


def ranked(run: Run, tags: BasketTags, show_progress: bool = False, with_sides: bool = False) -> pl.DataFrame:
    """Returns the results frame of some baskets with the run's weights."""
    data, model = run.data, run.model.to(device_of(run.config))
    scorer = ModelScorer(run.config.name, model, run.batches.only(model.contexts(with_tasks=False)))
    partitions = Partitions(data.log, data.split, data.protocol) if with_sides else None
    return evaluate(
        scorer, data.log, data.split, data.protocol, tags=tags, partitions=partitions, show_progress=show_progress
    )


def difference(first: pl.DataFrame, second: pl.DataFrame, metric: str, num_items: int) -> Difference:
    """Compares the results of two weights on the same requests by a paired bootstrap over users."""
    if not first.height:
        return Difference(metric, None, None, None, 0, 0)
    sides = [
        measure([RunResults(name, 0, "", num_items, frame)], "all", metric)
        for name, frame in (("first", first), ("second", second))
    ]
    (found,) = compare([(sides[0], sides[1])])
    low, high = (None if isnan(end) else end for end in (found.low, found.high))
    return Difference(metric, found.difference, low, high, found.entries, found.users)
