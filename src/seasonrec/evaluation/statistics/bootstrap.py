"""Bootstrap over users, as a product of the numbers of draws of each user and the users' sums.

References:
    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentile interval).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WEIGHTS_PER_CHUNK = 2**22
"""Bootstrap weights drawn at once, one byte each."""


@dataclass(frozen=True)
class Bootstrap:
    """Options of the resampling.

    Args:
        replicates: Resamples of the users.
        confidence: Probability mass of the percentile interval.
        seed: Seed of the resampling; equal for all rows, so that all rows have the same resamples.
    """

    replicates: int = 2_000
    confidence: float = 0.95
    seed: int = 20_171_123


def resample(sums: Floats, counts: NDArray[np.int64], bootstrap: Bootstrap) -> tuple[tuple[float, float], float]:
    """Returns the percentile interval of a mean over resampled users, and its two-sided p-value against zero.

    Args:
        sums: ``(U,)``, sum of a metric, or of a paired difference, by user.
        counts: ``(U,)``, number of entries in each sum, all above zero.
        bootstrap: Options of the resampling.

    Returns:
        ``((low, high), p_value)``; NaN, NaN and 1 with fewer than two users.
    """
    if len(counts) < 2:
        return (float("nan"), float("nan")), 1.0
    columns = np.stack([sums, counts.astype(np.float64)], axis=1)  # (U, 2)
    totals = np.concatenate([weights @ columns for weights in _weights(len(counts), bootstrap)])  # (R, 2)
    replicates = totals[:, 0] / totals[:, 1]
    tail = (1.0 - bootstrap.confidence) / 2.0
    low, high = np.quantile(replicates, [tail, 1.0 - tail])
    beyond = min(int((replicates <= 0).sum()), int((replicates >= 0).sum()))
    return (float(low), float(high)), min(1.0, 2.0 * (beyond + 1) / (bootstrap.replicates + 1))


def _weights(num_users: int, bootstrap: Bootstrap) -> Iterator[Floats]:
    """Yields the numbers of draws of each user, in chunks ``(r, num_users)`` that together have all replicates."""
    step = max(1, WEIGHTS_PER_CHUNK // num_users)
    for number, start in enumerate(range(0, bootstrap.replicates, step)):
        size = min(step, bootstrap.replicates - start)
        yield _drawn(num_users, size, bootstrap.seed, number).astype(np.float64)


@lru_cache(maxsize=16)
def _drawn(num_users: int, size: int, seed: int, number: int) -> NDArray[np.uint8]:
    """Returns one chunk of weights, cached because a table needs it for every row and metric."""
    generator = np.random.default_rng([seed, number])
    draws = generator.integers(num_users, size=(size, num_users))
    draws += np.arange(size)[:, None] * num_users
    counts = np.bincount(draws.ravel(), minlength=size * num_users)
    return counts.reshape(size, num_users).astype(np.uint8)  # a user is practically never drawn 256 times
