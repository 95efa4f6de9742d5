import numpy as np
import pytest
from scipy import stats

from seasonrec.evaluation.statistics import bootstrap, draws
from seasonrec.evaluation.statistics.bootstrap import SMALLEST_P, TAIL, Estimate, infer, p_value
from seasonrec.evaluation.statistics.draws import Bootstrap, SeedDraws, SeedSpread, user_weights

NORMAL_HALF = stats.norm.ppf(0.975)


def some_users(number: int, seed: int = 0, mean: float = 0.3) -> Estimate:
    generator = np.random.default_rng(seed)
    counts = generator.integers(1, 20, size=number)
    return Estimate(counts * generator.normal(mean, 1.0, size=number), counts)


def test_agreement_with_a_loop_of_resamples_by_hand():
    one = some_users(40)
    generator = np.random.default_rng(5)
    ratios = []
    for _ in range(16_000):
        drawn = generator.integers(40, size=40)
        sums, counts = one.sums[drawn], one.counts[drawn]
        mean = sums.sum() / counts.sum()
        error = np.sqrt(((sums - mean * counts) ** 2).sum() / counts.sum() ** 2 * 40 / 39)
        ratios.append(abs(mean - one.value) / error)
    own_error = np.sqrt(((one.sums - one.value * one.counts) ** 2).sum() / one.counts.sum() ** 2 * 40 / 39)
    (found,) = infer([one], Bootstrap())
    assert found.half == pytest.approx(np.quantile(ratios, 0.95) * own_error, rel=0.03)
    assert found.p_value == pytest.approx(np.mean(np.array(ratios) >= one.value / own_error), abs=0.006)


def test_agreement_with_students_t_for_equal_counts():
    generator = np.random.default_rng(3)
    values = generator.normal(0.1, 1.0, size=400)
    (found,) = infer([Estimate(values, np.ones(400, dtype=np.int64))], Bootstrap())
    expected = stats.ttest_1samp(values, 0.0)
    low, high = expected.confidence_interval(0.95)
    assert found.half == pytest.approx((high - low) / 2, rel=0.03)
    assert found.p_value == pytest.approx(expected.pvalue, rel=0.15)


def test_estimates_of_one_call_are_those_of_single_calls():
    several = [some_users(30), some_users(30, seed=1), some_users(50, seed=2), some_users(3), some_users(30, mean=3.0)]
    together = infer(several, Bootstrap(replicates=500))
    apart = [infer([one], Bootstrap(replicates=500))[0] for one in several]
    np.testing.assert_allclose(together, apart, rtol=1e-4)


def test_many_users_are_taken_a_few_estimates_at_a_time(monkeypatch):
    estimates = [some_users(40, seed) for seed in range(5)]
    whole = infer(estimates, Bootstrap(replicates=400))
    sizes = []
    problem_of = bootstrap._Problem.of
    monkeypatch.setattr(bootstrap, "CELLS_AT_ONCE", 80)
    monkeypatch.setattr(bootstrap._Problem, "of", lambda some: sizes.append(len(some)) or problem_of(some))
    np.testing.assert_allclose(infer(estimates, Bootstrap(replicates=400)), whole, rtol=1e-4)
    assert sizes == [2, 2, 1]


def test_seeds_widen_an_interval_of_equal_users():
    counts = np.ones(50, dtype=np.int64)
    spread = SeedSpread(variance=4.0, by_user=0.0, seeds=4)
    found, many = infer(
        [Estimate(counts * 1.0, counts, (spread,)), Estimate(counts * 1.0, counts, (SeedSpread(4.0, 0.0, 10_000),))],
        Bootstrap(),
    )
    assert found.half == pytest.approx(stats.t.ppf(0.975, 3) * 2.0 / np.sqrt(4), rel=0.03)  # users add no variance here
    assert found.p_value == pytest.approx(2 * stats.t.sf(1.0, 3), abs=0.015)
    assert many.half == pytest.approx(NORMAL_HALF * 2.0 / 100, rel=0.03)


def test_noise_of_single_users_is_not_counted_twice():
    assert SeedSpread(0.5, 0.2, 3).common == pytest.approx(0.3)
    assert SeedSpread(0.5, 0.9, 3).common == 0.0
    drawn = SeedDraws.of([(SeedSpread(0.5, 0.2, 3), SeedSpread(0.1, 0.0, 5)), ()], np.array([2.0, 1.0]))
    assert drawn.variances == pytest.approx([(0.3 / 3 + 0.1 / 5) / 4, 0.0])
    errors, variances = drawn.draw(200_000, (0, 1))
    assert (errors[:, 1].any(), variances[:, 1].any()) == (False, False)
    assert variances[:, 0].min() >= 0.0


def test_draws_of_one_row_are_students_t():
    drawn = SeedDraws.of([(SeedSpread(0.5, 0.0, 4),), (SeedSpread(0.5, 0.0, 4), SeedSpread(0.5, 0.0, 4))], np.ones(2))
    errors, variances = drawn.draw(200_000, (0, 1))
    ratios = np.quantile(np.abs(errors) / np.sqrt(variances), 0.95, axis=0)
    assert ratios[0] == pytest.approx(stats.t.ppf(0.975, 3), rel=0.02)
    assert stats.t.ppf(0.975, 6) < ratios[1] < stats.t.ppf(0.975, 3)


def test_the_same_seed_gives_the_same_interval_and_chunks_cover_all_replicates(monkeypatch):
    one = some_users(30)
    assert infer([one], Bootstrap(seed=1)) == infer([one], Bootstrap(seed=1))
    assert infer([one], Bootstrap(seed=1)) != infer([one], Bootstrap(seed=2))
    monkeypatch.setattr(draws, "WEIGHTS_PER_CHUNK", 7)
    weights = np.concatenate(list(user_weights(3, Bootstrap(replicates=100))))
    assert weights.shape == (100, 3)
    assert (weights.sum(axis=1) == 3).all()


def test_a_p_value_falls_without_a_jump_below_the_resolution_of_the_resamples():
    ratios = np.sort(np.abs(stats.t.rvs(8, size=20_000, random_state=4))).astype(np.float32)
    values = np.linspace(0.0, 3 * ratios[-1], 4_000)
    found = np.array([p_value(float(value), ratios, 8.0) for value in values])
    assert found[0] == 1.0
    assert (np.diff(found) <= 0).all()
    last = float(ratios[-TAIL])
    assert p_value(last, ratios, 8.0) == pytest.approx(p_value(last * (1 + 1e-6), ratios, 8.0), rel=1e-3)
    for value in (2.0, 4.0, 10.0, 15.0):
        assert p_value(value, ratios, 8.0) == pytest.approx(2 * stats.t.sf(value, 8), rel=0.5)
    assert p_value(1e9, ratios, 8.0) == SMALLEST_P


def test_differences_without_any_variance():
    counts = np.arange(1, 31)
    equal, shifted = infer([Estimate(np.zeros(30), counts), Estimate(counts * 0.1, counts)], Bootstrap(replicates=199))
    assert equal == (0.0, 1.0)
    assert shifted.half == 0.0
    assert shifted.p_value == SMALLEST_P


@pytest.mark.parametrize("users", [0, 1, 4])
def test_too_few_users_have_no_interval(users):
    (found,) = infer([some_users(users)], Bootstrap())
    assert np.isnan(found).all()
    (enough,) = infer([some_users(5)], Bootstrap())
    assert enough.half > 0
