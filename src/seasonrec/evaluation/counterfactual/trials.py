"""Ranking quality of a trained model that is told a wrong date, beside the right one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seasonrec.batches.context.own_events import OwnEventsContext
from seasonrec.batches.splits import Split
from seasonrec.data.calendar import local_days
from seasonrec.data.log import EventLog
from seasonrec.data.spec import DataSpec
from seasonrec.errors import UserError
from seasonrec.evaluation.counterfactual.dates import KINDS, WrongDate, check_days, on_wrong_date
from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.ranking.evaluator import Scorer, evaluate
from seasonrec.evaluation.ranking.scorers import ModelScorer
from seasonrec.evaluation.results.store import RunResults
from seasonrec.evaluation.slices.basket_tags import BasketTags
from seasonrec.evaluation.slices.user_groups import PREFIX as USER_SLICE
from seasonrec.evaluation.statistics.measured import measure
from seasonrec.evaluation.statistics.significance import compare

RIGHT = "right"
"""Kind of the lines with the right date."""

METRICS = ("ndcg@10", "bits")
SCHEMA = {
    "kind": pl.String, "days": pl.Int64, "slice": pl.String, "metric": pl.String, "value": pl.Float64,
    "difference": pl.Float64, "low": pl.Float64, "high": pl.Float64, "n": pl.Int64, "baskets": pl.Int64,
    "before_log": pl.Int64,
}  # fmt: skip


def told_by(scorer: ModelScorer) -> Callable[[WrongDate], Scorer]:
    """Returns a function from a wrong date to the model that is told it: by season, demand and fitted mixture.

    Raises:
        UserError: If the model has neither a season nor a demand.
    """
    model = scorer.model
    demand = model.demand.context
    dated = [context for context in model.season.reads if not isinstance(context, OwnEventsContext)]  # history stays
    names = {context.name for context in dated} | ({demand.name} if demand is not None else set())
    if not names:
        raise UserError("a wrong date needs a model that reads the date, got season=[] and demand=none.")
    if model.mixture.reads:
        names |= {context.name for context in model.mixture.trend_contexts}
    names &= set(scorer.builder.contexts)
    return lambda wrong: replace(scorer, builder=on_wrong_date(scorer.builder, names, wrong))


def counterfactual_table(
    scorer: Scorer,
    told: Callable[[WrongDate], Scorer],
    log: EventLog,
    spec: DataSpec,
    split: Split,
    protocol: Protocol,
    days: Sequence[int],
    progress: Callable[[str], None] = print,
) -> pl.DataFrame:
    """Returns NDCG@10 and bits of every slice with the right date, and with wrong dates for season, trend and both.

    Slices of users are left out.

    The whole part is ranked once with the right date and three times per wrong date.

    Args:
        scorer: The scorer with the right date.
        told: Function from a wrong date to the scorer that is told it, see :func:`told_by`.
        log: The prepared log.
        spec: Facts of the log.
        split: The cuts.
        protocol: Part, horizon, candidates and tags.
        days: Days by which a wrong date is too early.
        progress: Called with a line for each date.

    Returns:
        ``kind`` (``right``, ``season``, ``trend``, ``both``), ``days`` (0 for ``right``), ``slice``, ``metric``,
        ``value``, its ``difference`` to the right date with the ends ``low`` and ``high`` of a 95% interval over users
        (null for ``right``), ``n`` targets, and how many of all ``baskets`` have a date ``before_log``, the first day
        of the log. A slice without targets is left out.

    Raises:
        UserError: If ``days`` are not whole weeks.
    """
    check_days(days)
    tags = BasketTags.of(log, split, protocol)
    early = _before_log(log, spec, tags.baskets)
    found: dict[tuple[str, int], RunResults] = {}
    for kind, off, tried in _dated(scorer, told, days):
        frame = evaluate(tried, log, split, protocol, tags=tags, show_progress=False).drop("top_items")
        found[kind, off] = RunResults(scorer.name, 0, "", log.num_items, frame)
        means = ", ".join(
            f"{metric} {found[kind, off].events.values('all', metric)[1].mean():.4f}" for metric in METRICS
        )
        progress(f"{f'{kind}, date {off} days too early' if off else 'right date'}: {means}")
    lines = [(*key, *line, len(tags.baskets), early(key[1])) for key, line in _lines(found)]
    order = {key: place for place, key in enumerate(found)}
    return pl.DataFrame(sorted(lines, key=lambda line: order[line[0], line[1]]), schema=SCHEMA, orient="row")


def _dated(
    scorer: Scorer, told: Callable[[WrongDate], Scorer], days: Sequence[int]
) -> Iterator[tuple[str, int, Scorer]]:
    yield RIGHT, 0, scorer
    for kind, off in product(KINDS, days):
        yield kind, off, told(WrongDate(kind, off))


def _lines(found: dict[tuple[str, int], RunResults]) -> Iterator[tuple[tuple[str, int], tuple[object, ...]]]:
    """Yields the numbers of every date, slices outermost: the dates share the resamples of a slice."""
    right = (RIGHT, 0)
    wrong = [key for key in found if key != right]
    for slice_name in (name for name in found[right].events.masks if not name.startswith(USER_SLICE)):
        columns = [(slice_name, metric) for metric in METRICS]
        measured = {(key, column): measure([one], *column) for key, one in found.items() for column in columns}
        pairs = list(product(wrong, columns))
        told = compare([(measured[key, column], measured[right, column]) for key, column in pairs])
        costs = dict(zip(pairs, told, strict=True))
        for (key, column), one in measured.items():
            if entries := int(one.counts.sum()):
                cost = costs.get((key, column))
                numbers = (cost.difference, cost.low, cost.high) if cost else (None, None, None)
                yield key, (*column, one.value, *numbers, entries)


def _before_log(log: EventLog, spec: DataSpec, baskets: NDArray[np.int64]) -> Callable[[int], int]:
    """Returns a function from the days of a wrong date to the number of requests that it puts before the log."""
    first, *asked = local_days(np.append(spec.first_time_s, log.basket_times_s[baskets]), log.timezone).tolist()
    age = np.asarray(asked) - first
    return lambda days: int((age < days).sum())
