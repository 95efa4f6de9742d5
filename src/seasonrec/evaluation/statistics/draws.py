"""Resamples of the users, and draws of the sampling error of seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WEIGHTS_PER_CHUNK = 2**22
"""Weights drawn at once, one byte each."""


@dataclass(frozen=True)
class Bootstrap:
    """Options of the resampling.

    Args:
        replicates: Resamples.
        confidence: Probability mass of an interval.
        seed: Seed of the resampling; equal for all rows, so that all rows have the same resamples.
    """

    replicates: int = 20_000
    confidence: float = 0.95
    seed: int = 20_171_123


def user_weights(num_users: int, bootstrap: Bootstrap) -> Iterator[NDArray[np.float32]]:
    """Yields the numbers of draws of each user, in chunks ``(r, num_users)`` that together have all replicates."""
    step = max(1, WEIGHTS_PER_CHUNK // num_users)
    for number, start in enumerate(range(0, bootstrap.replicates, step)):
        size = min(step, bootstrap.replicates - start)
        yield _drawn(num_users, size, bootstrap.seed, number).astype(np.float32)


@lru_cache(maxsize=16)
def _drawn(num_users: int, size: int, seed: int, number: int) -> NDArray[np.uint8]:
    """Returns one chunk of weights, cached because small calls ask for the same users again."""
    generator = np.random.default_rng([seed, number])
    draws = generator.integers(num_users, size=(size, num_users))
    draws += np.arange(size)[:, None] * num_users
    counts = np.bincount(draws.ravel(), minlength=size * num_users)
    return counts.reshape(size, num_users).astype(np.uint8)  # a user is practically never drawn 256 times


@dataclass(frozen=True)
class SeedSpread:
    """Spread of one row over its seeds; every seed is a training of its own.

    Args:
        variance: Sample variance of the means of single seeds.
        by_user: Part of ``variance`` that is noise of single users, seed by seed. Resampled users carry it already.
        seeds: Number of seeds, at least 2.
    """

    variance: float
    by_user: float
    seeds: int

    @property
    def common(self) -> float:
        """Variance of one seed's mean that is common to all users; not below zero."""
        return max(self.variance - self.by_user, 0.0)


@dataclass(frozen=True)
class SeedDraws:
    """Sampling error of the seeds of many estimates that have up to two rows each.

    The means of normal seeds are normal, and their sample variance is a multiple of chi-squared with ``seeds - 1``
    degrees of freedom. Each draw first takes a true variance from the fiducial distribution given the sample variance,
    then a mean and a sample variance of other seeds. With the sample variance in place of the true one (the parametric
    bootstrap of Krishnamoorthy, Lu and Mathew, Computational Statistics & Data Analysis 2007), three seeds that lie
    close together by chance would be taken for proof that seeds do not matter.

    Args:
        common, by_user: ``(B, 2)``, as in :class:`SeedSpread`; zero for a row without seeds.
        seeds: ``(B, 2)`` int64; 0 for a row without seeds.
    """

    common: Floats
    by_user: Floats
    seeds: NDArray[np.int64]

    @staticmethod
    def of(spreads: list[tuple[SeedSpread, ...]], scales: Floats) -> SeedDraws:
        """Returns the draws of estimates with these spreads, in units of ``scales`` ``(B,)``."""
        common, by_user = np.zeros((len(spreads), 2)), np.zeros((len(spreads), 2))
        seeds = np.zeros((len(spreads), 2), dtype=np.int64)
        for place, (sides, scale) in enumerate(zip(spreads, scales, strict=True)):
            for side, one in enumerate(sides):
                common[place, side] = one.common / scale**2
                by_user[place, side] = one.by_user / scale**2
                seeds[place, side] = one.seeds
        return SeedDraws(common, by_user, seeds)

    @property
    def variances(self) -> Floats:
        """``(B,)`` variance of each estimate that its seeds add to that of its users."""
        return (self.common / np.maximum(self.seeds, 1)).sum(axis=1)

    def draw(self, size: int, key: Sequence[int]) -> tuple[Floats, Floats]:
        """Returns errors of the estimates and their estimated variances, ``(size, B)`` both, as other seeds give them.

        Args:
            size: Number of draws.
            key: Seed of the draws, which are then the same for an estimate alone and among others.
        """
        errors, variances = np.zeros((size, len(self.seeds))), np.zeros((size, len(self.seeds)))
        for side in range(self.seeds.shape[1]):
            for seeds in np.unique(self.seeds[:, side][self.seeds[:, side] > 1]):
                chosen = self.seeds[:, side] == seeds
                by_user = self.by_user[chosen, side]
                generator = np.random.default_rng([*key, side, seeds])
                normal, observed, again = _draws(generator, size, int(seeds) - 1)
                true = np.maximum((self.common[chosen, side] + by_user) / observed - by_user, 0.0)
                errors[:, chosen] += normal * np.sqrt(true / seeds)
                variances[:, chosen] += np.maximum((true + by_user) * again - by_user, 0.0) / seeds
        return errors, variances


def _draws(generator: np.random.Generator, size: int, freedom: int) -> tuple[Floats, Floats, Floats]:
    """Returns a normal variable and two variances of mean 1, ``(size, 1)`` each."""
    first, second = generator.chisquare(freedom, (2, size, 1)) / freedom
    return generator.standard_normal((size, 1)), first, second
