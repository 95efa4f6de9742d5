"""Comparison by a paired bootstrap over users, with interval, effect size and Holm's correction.

Events of one user are correlated, so users are resampled instead of events. Rows are compared on the same users,
targets and weights (paired). Seeds are averaged first: the interval covers the choice of users, not of seeds. A few
seeds are too few to resample, so ``seed_values`` and ``seed_differences`` show their spread.

References:
    - Ihemelandu and Ekstrand, "Candidate set sampling and significance", SIGIR 2023: Wilcoxon and sign tests inflate
      the type-1 error at these sizes, so neither is offered.
    - Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics, 1979.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from seasonrec.errors import UserError
from seasonrec.evaluation.results.store import RunResults, UserSums, user_sums
from seasonrec.evaluation.statistics.bootstrap import Bootstrap, Floats, resample

BOOTSTRAP = Bootstrap()


@dataclass(frozen=True)
class Interval:
    """Mean of a row with its interval.

    Args:
        value: Mean over the entries, averaged over seeds.
        low: Lower end of the percentile interval; NaN with fewer than two users.
        high: Upper end.
        users: Number of users.
        entries: Number of targets, or of baskets for ``basket_`` metrics.
        seed_values: The mean of each seed, in the order given.
    """

    value: float
    low: float
    high: float
    users: int
    entries: int
    seed_values: tuple[float, ...]


@dataclass(frozen=True)
class Comparison:
    """Comparison of row A with row B on the same targets; ``low`` to ``entries`` as in :class:`Interval`.

    Args:
        difference: Mean of A minus mean of B.
        low: Lower end of the interval of the difference.
        high: Upper end.
        p_value: Two-sided: twice the smaller share of replicates at or beyond zero, with one added to both counts.
        effect_size: Cohen's d_z: mean over users of the paired difference of their own means, divided by its standard
            deviation. Every user counts once, however much they buy. NaN if the differences are equal.
        users: Number of users.
        entries: Number of targets or baskets.
        seeds: Number of seeds of A and of B.
        seed_differences: Difference of each seed if A and B have equally many seeds, else of each pair of their seeds.
    """

    difference: float
    low: float
    high: float
    p_value: float
    effect_size: float
    users: int
    entries: int
    seeds: tuple[int, int]
    seed_differences: tuple[float, ...]

    @property
    def seeds_agree(self) -> bool:
        """True if every seed has its difference on the same side of zero."""
        return min(self.seed_differences) > 0 or max(self.seed_differences) < 0


def interval(row: Sequence[RunResults], slice_name: str, metric: str, bootstrap: Bootstrap = BOOTSTRAP) -> Interval:
    """Returns the mean of one row over its seeds, with its interval.

    Args:
        row: One result per seed, at least one.
        slice_name: Slice, as in :func:`~seasonrec.evaluation.results.store.user_sums`.
        metric: Metric, likewise.
        bootstrap: Options of the resampling.

    Raises:
        ValueError: If the results differ in fingerprint or targets.
        KeyError: If there is no such slice or metric.
    """
    require_one_fingerprint(row)
    by_seed = [user_sums(one.events, slice_name, metric) for one in row]
    _require_same_targets(by_seed, row)
    mean = _over_seeds(by_seed)
    (low, high), _ = resample(mean.sums, mean.counts, bootstrap)
    values = tuple(_ratio(one.sums, one.counts) for one in by_seed)
    return Interval(
        _ratio(mean.sums, mean.counts), low, high, len(mean.users), int(mean.counts.sum()), seed_values=values
    )


def intervals(
    results: RunResults, metrics: Sequence[str], slices: Sequence[str], bootstrap: Bootstrap = BOOTSTRAP
) -> pl.DataFrame:
    """Returns the means of one run with their intervals; a slice without targets is left out.

    Returns:
        Columns ``slice``, ``metric``, ``value``, ``low``, ``high``, ``users`` and ``n`` (targets, or baskets for
        ``basket_`` metrics); one row per slice and metric, in the order given.

    Raises:
        KeyError: If there is no such slice or metric.
    """
    rows = []
    for slice_name, metric in product(slices, metrics):
        one = interval([results], slice_name, metric, bootstrap)
        if one.entries:
            rows.append((slice_name, metric, one.value, one.low, one.high, one.users, one.entries))
    names = {"slice": pl.String, "metric": pl.String, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64}
    return pl.DataFrame(rows, {**names, "users": pl.Int64, "n": pl.Int64}, orient="row")


def compare(
    first: Sequence[RunResults],
    second: Sequence[RunResults],
    slice_name: str,
    metric: str,
    bootstrap: Bootstrap = BOOTSTRAP,
) -> Comparison:
    """Compares row A with row B, paired by user; other arguments and errors are those of :func:`interval`.

    Args:
        first: Row A, one result per seed, at least one.
        second: Row B, its seeds in the same order; the number of seeds may differ.
        slice_name: Slice.
        metric: Metric.
        bootstrap: Options of the resampling.
    """
    rows = [*first, *second]
    require_one_fingerprint(rows)
    sums = [user_sums(one.events, slice_name, metric) for one in rows]
    _require_same_targets(sums, rows)
    ours, theirs = sums[: len(first)], sums[len(first) :]
    gains, counts = _over_seeds(ours).sums - _over_seeds(theirs).sums, sums[0].counts
    (low, high), p_value = resample(gains, counts, bootstrap)
    return Comparison(
        _ratio(gains, counts),
        low,
        high,
        p_value,
        _effect_size(gains / counts),
        users=len(counts),
        entries=int(counts.sum()),
        seeds=(len(first), len(second)),
        seed_differences=_seed_differences(ours, theirs),
    )


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


def require_one_fingerprint(results: Sequence[RunResults]) -> None:
    """Checks that all results share one fingerprint.

    Raises:
        ValueError: If there is no result, or several fingerprints; the message names them with their rows.
    """
    if not results:
        raise UserError("a comparison needs at least one result of each row, got none.")
    carriers = {one.fingerprint: one.name for one in reversed(results)}
    if len(carriers) > 1:
        named = " and ".join(f"{print_} ({name})" for print_, name in sorted(carriers.items()))
        raise UserError(
            f"results of different protocols cannot be compared: fingerprints {named}; "
            "run the rows again on the same data, split and protocol."
        )


def _require_same_targets(sums: Sequence[UserSums], results: Sequence[RunResults]) -> None:
    for one, result in zip(sums, results, strict=True):
        if not (np.array_equal(one.users, sums[0].users) and np.array_equal(one.counts, sums[0].counts)):
            raise UserError(
                f"{result.name} (seed {result.seed}) and {results[0].name} (seed {results[0].seed}) hold different "
                f"targets ({one.counts.sum()} and {sums[0].counts.sum()}) under one fingerprint "
                f"{result.fingerprint}; one of the files is damaged, run it again."
            )


def _over_seeds(sums: Sequence[UserSums]) -> UserSums:
    return sums[0]._replace(sums=np.mean([one.sums for one in sums], axis=0))


def _seed_differences(first: Sequence[UserSums], second: Sequence[UserSums]) -> tuple[float, ...]:
    pairs = zip(first, second, strict=True) if len(first) == len(second) else product(first, second)
    return tuple(_ratio(ours.sums - theirs.sums, ours.counts) for ours, theirs in pairs)


def _ratio(sums: Floats, counts: NDArray[np.int64]) -> float:
    return float(sums.sum() / counts.sum()) if len(counts) else float("nan")


def _effect_size(by_user: Floats) -> float:
    spread = float(by_user.std(ddof=1)) if len(by_user) > 1 else 0.0
    return float(by_user.mean()) / spread if spread > 0 else float("nan")
