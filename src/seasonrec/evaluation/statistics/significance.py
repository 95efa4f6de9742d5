"""Intervals of rows and comparisons of rows as methods: over other users and other trainings together.

Events of one user are correlated, so users are resampled instead of events, and rows are compared on the same users and
targets. A trained row is the mean of its seeds, and its interval holds for other seeds too; the seeds of two rows are
independent, for the same seed of another configuration is another training. With fewer than three seeds of a trained
row an interval covers other users only, and there is no p-value.

References:
    - Ihemelandu and Ekstrand, "Candidate set sampling and significance", SIGIR 2023: Wilcoxon and sign tests inflate
      the type-1 error at these sizes, so neither is offered.
    - Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics, 1979.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import isnan

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from seasonrec.evaluation.results.store import RunResults
from seasonrec.evaluation.statistics.bootstrap import Estimate, infer
from seasonrec.evaluation.statistics.draws import Bootstrap, Floats, SeedSpread
from seasonrec.evaluation.statistics.measured import Measured, measure, require_same_targets

BOOTSTRAP = Bootstrap()


@dataclass(frozen=True)
class Interval:
    """Mean of a row with its interval.

    Args:
        value: Mean over the entries, averaged over seeds.
        low: Lower end of the interval, which is symmetric; NaN with fewer than five users.
        high: Upper end.
        users: Number of users.
        entries: Number of targets, or of baskets for ``basket_`` metrics.
        seed_sd: Standard deviation of the means of single seeds; None for one seed or a row without training.
        covers_seeds: Whether the interval covers other seeds too, not only other users.
    """

    value: float
    low: float
    high: float
    users: int
    entries: int
    seed_sd: float | None
    covers_seeds: bool


@dataclass(frozen=True)
class Comparison:
    """Comparison of row A with row B on the same targets; ``low`` to ``entries`` as in :class:`Interval`.

    Args:
        difference: Mean of A minus mean of B.
        low: Lower end of the interval of the difference.
        high: Upper end.
        p_value: Two-sided; None if a trained row has fewer than three seeds, or there are fewer than five users.
        effect_size: Cohen's d_z: mean over users of the paired difference of their own means, divided by its standard
            deviation. Every user counts once, however much they buy. NaN if the differences are equal.
        users: Number of users.
        entries: Number of targets or baskets.
        seeds: Number of seeds of A and of B.
        seed_sds: Standard deviation over seeds of A and of B, as in :class:`Interval`.
    """

    difference: float
    low: float
    high: float
    p_value: float | None
    effect_size: float
    users: int
    entries: int
    seeds: tuple[int, int]
    seed_sds: tuple[float | None, float | None]


def mean_intervals(measured: Sequence[Measured], bootstrap: Bootstrap = BOOTSTRAP) -> list[Interval]:
    """Returns the interval of every number; give those of one slice together."""
    halves = infer([Estimate(one.sums, one.counts, one.spreads) for one in measured], bootstrap)
    return [
        Interval(
            one.value, one.value - half, one.value + half, len(one.users), int(one.counts.sum()), one.seed_sd,
            one.covers_seeds,
        )
        for one, (half, _) in zip(measured, halves, strict=True)
    ]  # fmt: skip


def intervals(
    results: RunResults, metrics: Sequence[str], slices: Sequence[str], bootstrap: Bootstrap = BOOTSTRAP
) -> pl.DataFrame:
    """Returns the means of one run with their intervals over users; a slice without targets is left out.

    Returns:
        Columns ``slice``, ``metric``, ``value``, ``low``, ``high``, ``users`` and ``n`` (targets, or baskets for
        ``basket_`` metrics); one row per slice and metric, in the order given.

    Raises:
        KeyError: If there is no such slice or metric.
    """
    columns = list(product(slices, metrics))
    found = mean_intervals([measure([results], *column) for column in columns], bootstrap)
    rows = [
        (*column, one.value, one.low, one.high, one.users, one.entries)
        for column, one in zip(columns, found, strict=True)
        if one.entries
    ]
    names = {"slice": pl.String, "metric": pl.String, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64}
    return pl.DataFrame(rows, {**names, "users": pl.Int64, "n": pl.Int64}, orient="row")


def compare(pairs: Sequence[tuple[Measured, Measured]], bootstrap: Bootstrap = BOOTSTRAP) -> list[Comparison]:
    """Compares row A with row B in every pair; give the pairs of one slice together.

    Args:
        pairs: Numbers of A and B, of the same slice and metric.
        bootstrap: Options of the resampling.

    Raises:
        ValueError: If the two rows of a pair hold different targets.
    """
    for first, second in pairs:
        require_same_targets(first, second, first.name, second.name)
    estimates = [Estimate(first.sums - second.sums, first.counts, _spreads(first, second)) for first, second in pairs]
    return [
        _comparison(first, second, one, half, p_value)
        for (first, second), one, (half, p_value) in zip(pairs, estimates, infer(estimates, bootstrap), strict=True)
    ]


def holm(p_values: ArrayLike) -> Floats:
    """Returns Holm's adjusted p-values, in the order given.

    The smallest of ``m`` values is multiplied by ``m``, the next by ``m - 1`` and so on. No value is below the one
    before it or above 1.
    """
    given = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    stepped = given[order] * np.arange(len(given), 0, -1)
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted


def _comparison(first: Measured, second: Measured, estimate: Estimate, half: float, p_value: float) -> Comparison:
    value = first.value - second.value
    tested = first.covers_seeds and second.covers_seeds and not isnan(p_value)
    return Comparison(
        value,
        value - half,
        value + half,
        p_value if tested else None,
        _effect_size(estimate.sums / estimate.counts),
        users=len(first.users),
        entries=int(first.counts.sum()),
        seeds=(len(first.seed_values), len(second.seed_values)),
        seed_sds=(first.seed_sd, second.seed_sd),
    )


def _spreads(first: Measured, second: Measured) -> tuple[SeedSpread, ...]:
    """Returns the spreads of both rows; none if one of them has too few seeds, so that the interval has one meaning."""
    covered = first.covers_seeds and second.covers_seeds
    return (*first.spreads, *second.spreads) if covered else ()


def _effect_size(by_user: Floats) -> float:
    spread = float(by_user.std(ddof=1)) if len(by_user) > 1 else 0.0
    return float(by_user.mean()) / spread if spread > 0 else float("nan")
