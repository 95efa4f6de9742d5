"""Studentised bootstrap of means and of differences of means, over users and seeds together.

The error of an estimate is divided by its own standard error in every resample. A symmetric interval of such ratios
covers the truth as often as it says for a few dozen users too, where percentiles of the estimate itself are too narrow.

Users are resampled. Seeds are too few to be resampled, so their part of the error is drawn from normal theory, see
:class:`~seasonrec.evaluation.statistics.draws.SeedDraws`.

References:
    - Hall, "On symmetric bootstrap confidence intervals", Journal of the Royal Statistical Society B, 1988.
    - Owen, "The pigeonhole bootstrap", Annals of Applied Statistics, 2007: two crossed sources of variation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from seasonrec.evaluation.statistics.draws import Bootstrap, Floats, SeedDraws, SeedSpread, user_weights

FEWEST_USERS = 5
"""Smallest number of users with an interval; with fewer, too many resamples hold one user alone."""

TAIL = 10
"""Number of the largest resampled ratios beyond which a p-value follows the tail of Student's t."""

AT_ONCE, CELLS_AT_ONCE = 150, 1 << 24
"""Largest number of estimates in memory at once, whose ratios are 50 MB for 84,000 resamples, and of estimates times
users, whose sums are about 1 GB."""

SMALLEST_P = 1e-12
"""Smallest p-value that is reported."""


@dataclass(frozen=True)
class Estimate:
    """A mean over the entries of all users, or a difference of two such means on the same entries.

    Args:
        sums: ``(U,)`` sum by user, or difference of two sums, averaged over seeds.
        counts: ``(U,)`` number of entries in each sum, all above zero.
        spreads: Spread of each row that has seeds, at most two.
    """

    sums: Floats
    counts: NDArray[np.int64]
    spreads: tuple[SeedSpread, ...] = ()

    @property
    def value(self) -> float:
        return float(self.sums.sum() / self.counts.sum())


class Inference(NamedTuple):
    """Half the width of a symmetric interval, and the two-sided p-value against zero; NaN with too few users."""

    half: float
    p_value: float


def infer(estimates: Sequence[Estimate], bootstrap: Bootstrap) -> list[Inference]:
    """Returns interval and p-value of every estimate.

    All estimates with the same number of users share their resamples, so that a table is one matrix product for each
    slice. Give many estimates at once.

    Args:
        estimates: The estimates.
        bootstrap: Options of the resampling.
    """
    by_size: dict[int, list[int]] = {}
    for place, estimate in enumerate(estimates):
        by_size.setdefault(len(estimate.counts), []).append(place)
    found = [Inference(float("nan"), float("nan"))] * len(estimates)
    for users, places in by_size.items():
        if users < FEWEST_USERS:
            continue
        step = max(1, min(AT_ONCE, CELLS_AT_ONCE // users))
        for start in range(0, len(places), step):
            few = places[start : start + step]
            problem = _Problem.of([estimates[place] for place in few])
            for place, one in zip(few, problem.solve(bootstrap), strict=True):
                found[place] = one
    return found


@dataclass(frozen=True)
class _Problem:
    """``B`` estimates over equally many users, in units of their standard errors.

    Args:
        values: ``(B,)`` estimates in units of their standard errors.
        scales: ``(B,)`` standard errors.
        freedom: ``(B,)`` degrees of freedom of the tail.
        deviations: ``(B, U)`` sums less what the estimate predicts from the counts: the linearised influence of users.
        counts: ``(G, U)`` distinct counts.
        counts_of: ``(B,)`` row of ``counts`` of each estimate.
        seeds: Draws of the seeds.
    """

    values: Floats
    scales: Floats
    freedom: Floats
    deviations: Floats
    counts: Floats
    counts_of: NDArray[np.int64]
    seeds: SeedDraws

    @staticmethod
    def of(estimates: Sequence[Estimate]) -> _Problem:
        sums = np.stack([one.sums for one in estimates])
        every = np.stack([one.counts for one in estimates])
        counts, first, counts_of = np.unique(every, axis=0, return_index=True, return_inverse=True)
        totals, users = every.sum(axis=1), every.shape[1]
        values = sums.sum(axis=1) / totals
        deviations = (sums - values[:, None] * every) / totals[:, None]
        by_users = (deviations**2).sum(axis=1) * users / (users - 1)
        spreads = [one.spreads for one in estimates]
        by_seeds = SeedDraws.of(spreads, np.ones(len(values))).variances
        scales = np.sqrt(by_users + by_seeds)
        scales = np.where(scales > 1e-12 * np.abs(values), scales, 0.0)  # rounding of equal differences is no variance
        units = np.where(scales > 0, scales, 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            told = np.where(values == 0, 0.0, np.abs(values) / scales)  # infinite without any variance
        return _Problem(
            told,
            scales,
            np.array([_freedom(users, sides) for sides in spreads], dtype=np.float64),
            (scales > 0)[:, None] * deviations / units[:, None],
            counts / totals[first][:, None],
            counts_of.ravel(),
            SeedDraws.of([sides if scale > 0 else () for sides, scale in zip(spreads, scales, strict=True)], units),
        )

    def solve(self, bootstrap: Bootstrap) -> list[Inference]:
        """Returns interval and p-value of each estimate."""
        ratios = self._ratios(bootstrap)  # (R, B)
        ratios.sort(axis=0)
        quantiles = ratios[math.ceil(bootstrap.confidence * len(ratios)) - 1].astype(np.float64)
        halves = np.where(np.isfinite(quantiles), quantiles, np.nan) * self.scales
        return [
            Inference(float(half), p_value(float(value), column, float(freedom)))
            for half, value, column, freedom in zip(halves, self.values, ratios.T, self.freedom, strict=True)
        ]

    def _ratios(self, bootstrap: Bootstrap) -> NDArray[np.float32]:
        """Returns ``(R, B)``: error of each resample without its sign, divided by the resample's standard error."""
        number, users = self.deviations.shape
        own = self.counts[self.counts_of]  # (B, U)
        blocks = (self.deviations, self.deviations**2, self.deviations * own, self.counts, self.counts**2)
        columns = np.concatenate(blocks).astype(np.float32).T  # (U, 3B + 2G)
        cuts = np.cumsum([number, number, number, len(self.counts)])
        found = []
        for chunk, weights in enumerate(user_weights(users, bootstrap)):
            totals = (weights @ columns).astype(np.float64)
            first, squares, mixed, counts, counts_squared = np.split(totals, cuts, axis=1)
            counts, counts_squared = counts[:, self.counts_of], counts_squared[:, self.counts_of]
            errors = first / counts
            variances = np.maximum(squares - 2 * errors * mixed + errors**2 * counts_squared, 0.0) / counts**2
            seed_errors, seed_variances = self.seeds.draw(len(weights), (bootstrap.seed, users, chunk))
            errors, variances = errors + seed_errors, variances * users / (users - 1) + seed_variances
            with np.errstate(divide="ignore", invalid="ignore"):
                ratios = np.abs(errors) / np.sqrt(variances)
            found.append(np.nan_to_num(ratios, nan=0.0, posinf=np.inf).astype(np.float32))
        return np.concatenate(found)


def p_value(value: float, ratios: NDArray[np.float32], freedom: float) -> float:
    """Returns a two-sided p-value: the share of resampled ratios at or above the observed one.

    With fewer than :data:`TAIL` ratios above it, the value follows the tail of Student's t from the last of them, so
    that p-values below the resolution of the resamples still differ.

    Args:
        value: Observed ratio of estimate and standard error, without its sign.
        ratios: ``(R,)`` resampled ratios, ascending, ``R`` above :data:`TAIL`.
        freedom: Degrees of freedom of the tail.
    """
    beyond = len(ratios) - int(np.searchsorted(ratios, value))
    start = float(ratios[-TAIL])
    if beyond >= TAIL or not np.isfinite(start):
        return (beyond + 1) / (len(ratios) + 1)
    below = stats.t.sf(value, freedom) / stats.t.sf(start, freedom)
    return max(SMALLEST_P, float(below) * (TAIL + 1) / (len(ratios) + 1))


def _freedom(users: int, sides: tuple[SeedSpread, ...]) -> int:
    """Returns the degrees of freedom of the tail: those of the fewest seeds, which have the heaviest tail."""
    return min([users - 1, *(one.seeds - 1 for one in sides)])
