import numpy as np
import pytest
from scipy import stats

from seasonrec.evaluation.statistics import bootstrap as bootstrap_module
from seasonrec.evaluation.statistics.bootstrap import Bootstrap, resample


def test_agreement_with_scipy():
    generator = np.random.default_rng(0)
    counts = generator.integers(1, 20, size=80)
    sums = counts * generator.normal(0.3, 1.0, size=80)

    def ratio(sums, counts, axis=-1):
        return sums.sum(axis=axis) / counts.sum(axis=axis)

    expected = stats.bootstrap(
        (sums, counts), ratio, paired=True, method="percentile", n_resamples=9_999, rng=np.random.default_rng(1)
    ).confidence_interval
    (low, high), _ = resample(sums, counts, Bootstrap(replicates=9_999))
    width = expected.high - expected.low
    assert low == pytest.approx(expected.low, abs=0.03 * width)
    assert high == pytest.approx(expected.high, abs=0.03 * width)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    generator = np.random.default_rng(2)
    covered, rejected, truth = 0, 0, 0.0
    for _ in range(300):
        effect = generator.normal(0.0, 1.0, size=60)  # nearly equal for all events of a user
        counts = generator.integers(1, 10, size=60)
        sums = counts * effect + generator.normal(0.0, 0.3, size=60)
        (low, high), p_value = resample(sums, counts, Bootstrap(replicates=400))
        covered += low <= truth <= high
        rejected += p_value < 0.05
    assert 0.89 <= covered / 300 <= 0.98
    assert rejected / 300 <= 0.11


def test_the_same_seed_gives_the_same_interval_and_chunks_cover_all_replicates(monkeypatch):
    sums, counts = np.random.default_rng(0).normal(size=30), np.arange(1, 31)
    assert resample(sums, counts, Bootstrap(seed=1)) == resample(sums, counts, Bootstrap(seed=1))
    assert resample(sums, counts, Bootstrap(seed=1)) != resample(sums, counts, Bootstrap(seed=2))
    monkeypatch.setattr(bootstrap_module, "WEIGHTS_PER_CHUNK", 7)
    weights = np.concatenate(list(bootstrap_module._weights(3, Bootstrap(replicates=100))))
    assert weights.shape == (100, 3)
    assert (weights.sum(axis=1) == 3).all()


def test_the_p_value_is_never_zero_and_never_above_one():
    counts = np.ones(30, dtype=np.int64)
    assert resample(np.full(30, 5.0), counts, Bootstrap(replicates=199))[1] == pytest.approx(2 / 200)
    assert resample(np.zeros(30), counts, Bootstrap())[1] == 1.0


def test_one_user_has_no_interval():
    (low, high), p_value = resample(np.array([1.0]), np.array([3]), Bootstrap())
    assert np.isnan([low, high]).all()
    assert p_value == 1.0
