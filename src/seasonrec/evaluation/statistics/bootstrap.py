"""Bootstrap over users, vectorised: weights that say how often each user is drawn, times sums.

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
    """How the resampling is done.

    Args:
        replicates: Resamples of the users.
        confidence: Mass of the percentile interval.
        seed: Seed of the resampling; the same for every row, so that all rows meet the same users.
    """

    replicates: int = 2_000
    confidence: float = 0.95
    seed: int = 20_171_123


def resample(sums: Floats, counts: NDArray[np.int64], bootstrap: Bootstrap) -> tuple[tuple[float, float], float]:
    """Percentile interval of a mean over resampled users, and its two-sided p-value against zero.

    Args:
        sums: ``(U,)``, one user's sum of a metric, or of a paired difference.
        counts: ``(U,)``, the entries behind each sum, all above zero.
        bootstrap: How to resample.

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
    """Multinomial weights, how often each user is drawn; chunks of ``(r, num_users)`` that add up to all replicates."""
    step = max(1, WEIGHTS_PER_CHUNK // num_users)
    for number, start in enumerate(range(0, bootstrap.replicates, step)):
        size = min(step, bootstrap.replicates - start)
        yield _drawn(num_users, size, bootstrap.seed, number).astype(np.float64)


@lru_cache(maxsize=16)
def _drawn(num_users: int, size: int, seed: int, number: int) -> NDArray[np.uint8]:
    """One chunk of weights, kept since a table asks for the same ones again for every row and metric."""
    generator = np.random.default_rng([seed, number])
    draws = generator.integers(num_users, size=(size, num_users))
    draws += np.arange(size)[:, None] * num_users
    counts = np.bincount(draws.ravel(), minlength=size * num_users)
    return counts.reshape(size, num_users).astype(np.uint8)  # to be drawn 256 times has no chance worth a second byte
