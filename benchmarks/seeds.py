"""Simulation of the marks and intervals of a table: ``python -m benchmarks.seeds``.

Equal methods are trained with a few seeds each and compared by the code of the reports. Purchases per user are
lognormal with sigma 1.1, effects of users have heavy tails, every user reacts a little to every seed, and all users
together react to a seed with a standard deviation of ``ratio`` times half of the interval over users.

The first table is the choice of the statistic: how often each way to make an interval of 95% covers the truth. The
second is what the choice does to a whole table of comparisons with one reference: how often p < 0.05, and how many
tables carry a false mark after Holm.
"""

from __future__ import annotations

import argparse
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from seasonrec.evaluation.results.store import UserSums
from seasonrec.evaluation.statistics.bootstrap import Estimate, infer
from seasonrec.evaluation.statistics.draws import Bootstrap, user_weights
from seasonrec.evaluation.statistics.measured import Measured
from seasonrec.evaluation.statistics.significance import compare, holm

Floats = NDArray[np.float64]

PURCHASES_SIGMA = 1.1
FREEDOM = 3.0
"""Degrees of freedom of the effects of users: Student's t with heavy tails."""

CONFIDENCE = 0.95

COMPARISONS = 20
"""Comparisons of a table of the second kind."""

PER_BATCH = 600_000
"""Pairs times users in memory at once."""


def equal_rows(
    generator: np.random.Generator, rows: int, users: int, seeds: int, ratio: float, user_seed: float = 0.5
) -> list[Measured]:
    """Returns rows of equal methods over the same users.

    Args:
        generator: Source of all randomness.
        rows: Number of rows.
        users: Number of users.
        seeds: Seeds of each row.
        ratio: Standard deviation of a seed's effect on all users, in halves of the 95% interval over users.
        user_seed: Standard deviation of one user's own reaction to a seed; differences of users have one of 1.7.
    """
    counts = np.ceil(np.exp(generator.normal(1.5, PURCHASES_SIGMA, users))).astype(np.int64)
    effects = generator.standard_t(FREEDOM, (rows, users))
    noise = generator.normal(size=(rows, users)) * 2.0 / np.sqrt(counts)
    half = 1.96 * float(np.sqrt((counts**2 * 2 * (FREEDOM / (FREEDOM - 2) + 4.0 / counts)).sum())) / counts.sum()
    common = generator.normal(size=(rows, seeds)) * ratio * half
    own = generator.normal(size=(rows, seeds, users)) * user_seed
    sums = counts * ((effects + noise)[:, None, :] + common[:, :, None] + own)  # (rows, seeds, users)
    numbers = np.arange(users)
    return [Measured.of([UserSums(numbers, one, counts) for one in by_seed]) for by_seed in sums]


def equal_pairs(
    generator: np.random.Generator, pairs: int, users: int, seeds: int, ratio: float
) -> list[tuple[Measured, Measured]]:
    """Returns independent pairs of equal methods, each over users of its own."""
    found = (equal_rows(generator, 2, users, seeds, ratio) for _ in range(pairs))
    return [(first, second) for first, second in found]


def coverage(pairs: list[tuple[Measured, Measured]], bootstrap: Bootstrap) -> dict[str, float]:
    """Returns how often the interval of each way to make one covers the true difference of zero."""
    chosen = compare(pairs, bootstrap)
    users_only = infer([Estimate(first.sums - second.sums, first.counts) for first, second in pairs], bootstrap)
    values = np.array([one.difference for one in chosen])
    percentiles = [_percentiles(first, second, bootstrap) for first, second in pairs]
    welch = np.array([_welch(first, second) for first, second in pairs])
    return {
        "users, percentiles": float(np.mean([low <= 0 <= high for low, high in percentiles])),
        "users, studentised": float(np.mean([abs(v) <= one.half for v, one in zip(values, users_only, strict=True)])),
        "users and seeds, Welch's t": float(np.mean(np.abs(values) <= welch)),
        "users and seeds, studentised": float(np.mean([one.low <= 0 <= one.high for one in chosen])),
    }


def false_marks(
    generator: np.random.Generator, tables: int, rows: int, users: int, seeds: int, ratio: float
) -> tuple[float, float]:
    """Returns the share of comparisons with p < 0.05, and that of tables with a mark after Holm.

    A table compares one reference with ``rows`` others. Truth is that no method differs.
    """
    small, marked = 0, 0
    bootstrap = Bootstrap(replicates=max(Bootstrap.replicates, 600 * rows))
    for _ in range(tables):
        first, *others = equal_rows(generator, rows + 1, users, seeds, ratio)
        found = np.array([one.p_value for one in compare([(first, other) for other in others], bootstrap)])
        small += int((found < 1 - CONFIDENCE).sum())
        marked += bool((holm(found) < 1 - CONFIDENCE).any())
    return small / tables / rows, marked / tables


def _percentiles(first: Measured, second: Measured, bootstrap: Bootstrap) -> tuple[float, float]:
    columns = np.stack([first.sums - second.sums, first.counts.astype(np.float64)], axis=1)
    totals = np.concatenate([weights @ columns for weights in user_weights(len(columns), bootstrap)])
    low, high = np.quantile(totals[:, 0] / totals[:, 1], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _welch(first: Measured, second: Measured) -> float:
    """Returns half of Welch's interval, with the users as one more source of variance."""
    gains, counts, users = first.sums - second.sums, first.counts, len(first.counts)
    deviations = gains - gains.sum() / counts.sum() * counts
    by_users = float((deviations**2).sum()) / counts.sum() ** 2 * users / (users - 1)
    sides = (*first.spreads, *second.spreads)
    variance = by_users + sum(one.common / one.seeds for one in sides)
    parts = by_users**2 / (users - 1) + sum((one.variance / one.seeds) ** 2 / (one.seeds - 1) for one in sides)
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, variance**2 / parts) * np.sqrt(variance))


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=2_000, help="pairs of a cell of the first table")
    parser.add_argument("--tables", type=int, default=200, help="tables of a cell of the second")
    options = parser.parse_args()
    bootstrap, generator = Bootstrap(replicates=2_000), np.random.default_rng(7)
    print(
        "| users | seeds | sd of a seed | users, percentiles | users, studentised | both, Welch | both, studentised |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for users, seeds, ratio in product((2_400, 600, 60, 15), (3, 5, 10), (0.0, 0.3, 1.0, 3.0)):
        batches = max(1, options.repetitions * users // PER_BATCH)
        shares = np.zeros(4)
        for _ in range(batches):
            pairs = equal_pairs(generator, options.repetitions // batches, users, seeds, ratio)
            shares += np.array(list(coverage(pairs, bootstrap).values())) / batches
        print(f"| {users:,} | {seeds} | {ratio:g} | {' | '.join(f'{share:.3f}' for share in shares)} |", flush=True)
    print("\n| users | seeds | sd of a seed | p < 0.05 | tables with a mark |\n|---:|---:|---:|---:|---:|")
    for users, seeds, ratio in product((2_400, 60), (3, 5, 10), (0.3, 3.0)):
        small, marked = false_marks(generator, options.tables, COMPARISONS, users, seeds, ratio)
        print(f"| {users:,} | {seeds} | {ratio:g} | {small:.3f} | {marked:.3f} |", flush=True)


if __name__ == "__main__":
    main()
