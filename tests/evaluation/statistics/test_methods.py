"""Simulated tables of equal methods: marks and intervals must speak of methods, not of single trainings."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from seasonrec.evaluation.statistics.draws import Bootstrap
from seasonrec.evaluation.statistics.significance import compare, mean_intervals

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from benchmarks.seeds import coverage, equal_pairs, equal_rows, false_marks

FEW = Bootstrap(replicates=1_000)


def beyond_chance(repetitions: int, share: float) -> float:
    """Returns three standard errors of a share that is counted in that many repetitions."""
    return 3 * float(np.sqrt(share * (1 - share) / repetitions))


@pytest.mark.parametrize(
    ("users", "pairs", "seeds"), [(2_400, 450, 3), (600, 1_200, 5), (60, 2_400, 10), (15, 2_400, 3), (15, 2_400, 10)]
)
def test_intervals_cover_the_truth_as_often_as_they_say(users, pairs, seeds):
    generator = np.random.default_rng([users, seeds])
    found = []
    for ratio in (0.0, 1.0, 3.0):
        drawn = equal_pairs(generator, pairs // 3, users, seeds, ratio)
        found += [one.low <= 0 <= one.high for one in compare(drawn, FEW)]
        found += [one.low <= 0 <= one.high for one in mean_intervals([first for first, _ in drawn], FEW)]
    spare = beyond_chance(len(found), 0.95)
    assert 0.93 - spare / 2 <= np.mean(found) <= 0.97 + spare / 2


@pytest.mark.parametrize("seeds", [3, 10])
def test_equal_methods_with_noisy_seeds_carry_no_more_marks_than_chance(seeds):
    tables, rows = 100, 8
    small, marked = false_marks(np.random.default_rng(seeds), tables, rows, users=300, seeds=seeds, ratio=3.0)
    assert small <= 0.05 + beyond_chance(tables * rows // 2, 0.05)  # halved: a table's rows share their reference
    assert marked <= 0.05 + beyond_chance(tables, 0.05)


def test_the_simulation_sees_the_fault_of_resampling_users_only():
    found = coverage(equal_pairs(np.random.default_rng(0), 100, 300, 5, 3.0), FEW)
    assert found["users, percentiles"] < 0.6
    assert found["users, studentised"] < 0.6
    assert found["users and seeds, studentised"] > 0.88


def test_a_difference_of_methods_is_still_found():
    first, second = equal_rows(np.random.default_rng(1), 2, 600, 5, 0.3)
    (same,) = compare([(first, second)])
    half = same.high - same.difference
    worse = equal_rows(np.random.default_rng(1), 2, 600, 5, 0.3)[0]
    shifted = type(worse)(
        worse.users, worse.sums + 4 * half * worse.counts, worse.counts,
        tuple(value + 4 * half for value in worse.seed_values), worse.by_user,
    )  # fmt: skip
    (found,) = compare([(shifted, second)])
    assert found.p_value is not None
    assert found.p_value < 0.001
    assert found.low > 0
