from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from seasonrec.evaluation.results.store import COLUMNS, RunResults
from seasonrec.evaluation.statistics.draws import Bootstrap
from seasonrec.evaluation.statistics.measured import measure
from seasonrec.evaluation.statistics.significance import (
    BOOTSTRAP,
    Comparison,
    Interval,
    compare,
    holm,
    intervals,
    mean_intervals,
)

USERS, BASKETS = 40, 3


def row(name: str, shift: float, seed: int = 0, noise: float = 0.0) -> RunResults:
    """Returns results of forty users, with bits around 8 that correlate between rows."""
    users = np.repeat(np.arange(USERS), BASKETS)
    sizes = np.random.default_rng(0).integers(1, 5, len(users))
    common = np.random.default_rng(1).normal(8.0, 2.0, USERS)[users]
    own = np.random.default_rng([seed, *name.encode()]).normal(0.0, noise or 1e-9, len(users))
    bits = [[value] * size for value, size in zip(common + shift + own, sizes, strict=True)]
    lists = {name: [[0] * size for size in sizes] for name in ("items", "greater", "repeat", "in_season", "head")}
    booleans = {name: pl.List(pl.Boolean) for name in ("repeat", "in_season", "cold_item", "head")}
    frame = pl.DataFrame(
        {
            "user": users.astype(np.int32),
            "user_id": [f"user{user}" for user in users],
            "basket": np.arange(len(users)),
            "request_time_s": np.arange(len(users)),
            "day": [date(2017, 11, 20)] * len(users),
            "week": [date(2017, 11, 20)] * len(users),
            "month": pl.Series([11] * len(users), dtype=pl.Int8),
            "window": pl.Series([None] * len(users), dtype=pl.String),
            "cold_user": [False] * len(users),
            **lists,
            "cold_item": lists["head"],
            "ties": [[1] * size for size in sizes],
            "bits": bits,
            "top_items": [[0]] * len(users),
        }
    ).with_columns(pl.col(column).cast(dtype) for column, dtype in booleans.items())
    return RunResults(name, seed, "f" * 16, 10, frame.select(COLUMNS))


def compared(
    first: list[RunResults], second: list[RunResults], slice_name: str = "all", bootstrap: Bootstrap = BOOTSTRAP
) -> Comparison:
    """Returns the comparison of two rows in bits."""
    pair = measure(first, slice_name, "bits"), measure(second, slice_name, "bits")
    return compare([pair], bootstrap)[0]


def interval(runs: list[RunResults], trained: bool = True) -> Interval:
    return mean_intervals([measure(runs, "all", "bits", trained)])[0]


def seeds_of(name: str, shift: float, *seed_shifts: float, noise: float = 0.2) -> list[RunResults]:
    """Returns a row with one seed for each shift."""
    return [row(name, shift + own, seed, noise) for seed, own in enumerate(seed_shifts)]


def test_a_paired_difference_is_found_where_the_rows_overlap():
    first, second = seeds_of("full", -0.1, 0, 0, 0), seeds_of("none", 0.0, 0, 0, 0)
    found = compared(first, second)
    assert found.low <= found.difference <= found.high < 0
    assert found.p_value is not None
    assert found.p_value < 0.05
    assert (found.users, found.seeds) == (USERS, (3, 3))
    assert found.entries == first[0].frame["items"].list.len().sum()
    assert interval(first).high > interval(second).low  # unpaired they overlap


def test_seeds_that_differ_by_more_than_the_rows_hide_the_difference():
    clear = compared(seeds_of("full", -0.1, 0.01, 0.0, -0.01), seeds_of("none", 0.0, 0, 0, 0))
    hidden = compared(seeds_of("full", -0.1, 0.2, 0.0, -0.2), seeds_of("none", 0.0, 0, 0, 0))
    assert hidden.difference == pytest.approx(clear.difference, abs=1e-6)
    assert clear.high < 0 < hidden.high
    assert clear.p_value is not None
    assert hidden.p_value is not None
    assert clear.p_value < 0.05 < hidden.p_value
    assert hidden.seed_sds[0] == pytest.approx(0.2, abs=0.03)
    assert hidden.seed_sds[1] == pytest.approx(0.0, abs=0.03)


def test_two_seeds_have_no_p_value_and_an_interval_over_users_only():
    two = compared(seeds_of("full", -0.1, 0.2, -0.2), seeds_of("none", 0.0, 0, 0, 0, 0))
    assert two.p_value is None
    assert two.high < 0  # narrow, for it does not know the seeds
    assert two.seed_sds[0] == pytest.approx(0.28, abs=0.03)
    assert not interval(seeds_of("full", 0.0, 0.2, -0.2)).covers_seeds
    assert interval([row("full", 0.0)]).seed_sd is None


def test_a_row_without_training_needs_no_seeds():
    counter = measure([row("counter", 0.0, noise=0.2)], "all", "bits", trained=False)
    trained = measure(seeds_of("full", -0.2, 0.01, 0.0, -0.01), "all", "bits")
    found = compare([(trained, counter)])[0]
    assert found.p_value is not None
    assert found.p_value < 0.05
    assert found.seed_sds[1] is None
    assert compare([(counter, counter)])[0].p_value == 1.0
    assert mean_intervals([counter])[0].covers_seeds


def test_a_single_run_has_intervals():
    run = row("full", 0.0, noise=0.2)
    found = intervals(run, ["bits", "basket_hit@10"], ["all", "cold_items", "ordinary"])
    assert found.select("slice", "metric").rows() == [
        (name, metric) for name in ("all", "ordinary") for metric in ("bits", "basket_hit@10")
    ]
    expected = interval([run])
    assert found.row(0)[2:] == pytest.approx((expected.value, expected.low, expected.high, USERS, expected.entries))
    assert found["n"][1] == USERS * BASKETS


def test_agreement_with_a_loop_over_users():
    first, second = row("full", -0.1, noise=0.5), row("none", 0.0, noise=0.5)
    found = compared([first], [second])
    gain = [
        (ours["bits"].explode().to_numpy() - theirs["bits"].explode().to_numpy())
        for (_, ours), (_, theirs) in zip(
            first.frame.group_by("user", maintain_order=True),
            second.frame.group_by("user", maintain_order=True),
            strict=True,
        )
    ]
    mean = np.concatenate(gain).mean()
    sums, counts = np.array([values.sum() for values in gain]), np.array([len(values) for values in gain])
    error = np.sqrt(((sums - mean * counts) ** 2).sum() * USERS / (USERS - 1)) / counts.sum()
    by_user = np.array([values.mean() for values in gain])
    assert found.difference == pytest.approx(mean)
    assert found.high - found.difference == pytest.approx(found.difference - found.low)
    assert found.high - found.difference == pytest.approx(2.02 * error, rel=0.1)  # Student's t of 39 degrees: 2.02
    assert found.effect_size == pytest.approx(by_user.mean() / by_user.std(ddof=1))


def test_no_difference_gives_an_interval_around_zero():
    found = compared(seeds_of("full", 0.0, 0, 0, 0), seeds_of("none", 0.0, 0, 0, 0))
    assert found.low < 0 < found.high
    assert found.p_value is not None
    assert found.p_value > 0.05
    same = compared([row("full", 0.0)] * 3, [row("full", 0.0)] * 3)
    assert (same.difference, same.low, same.high, same.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert np.isnan(same.effect_size)


def test_seeds_are_averaged_before_users_are_drawn():
    seeds = [row("full", 0.0, seed=0), row("full", 0.4, seed=1)]
    found = compared(seeds, [row("none", 0.0)])
    assert found.difference == pytest.approx(0.2, abs=1e-6)
    assert found.seeds == (2, 1)
    alone = interval(seeds)
    assert alone.seed_sd == pytest.approx(0.4 / np.sqrt(2), abs=1e-6)
    assert alone.value == pytest.approx(np.mean(measure(seeds, "all", "bits").seed_values))
    assert alone.low < alone.value < alone.high


def test_noise_of_single_users_is_told_from_a_shift_of_a_whole_seed():
    shifted = measure(seeds_of("full", 0.0, 0.4, 0.0, -0.4, noise=1e-9), "all", "bits")
    noisy = measure(seeds_of("full", 0.0, *[0.0] * 40, noise=1.0), "all", "bits")
    assert shifted.by_user < 1e-9 < 0.15 < np.var(shifted.seed_values, ddof=1)
    assert noisy.by_user == pytest.approx(np.var(noisy.seed_values, ddof=1), rel=0.5)


def test_different_fingerprints_are_refused_and_both_named():
    other = replace(row("none", 0.0), fingerprint="0" * 16)
    with pytest.raises(ValueError) as caught:
        interval([row("full", 0.0), other])
    assert f"{'0' * 16} (none) and {'f' * 16} (full)" in str(caught.value)
    assert "different protocols" in str(caught.value)


def test_other_targets_under_one_fingerprint_are_refused():
    short = row("none", 0.0)
    short = replace(short, frame=short.frame.head(50))
    with pytest.raises(ValueError, match="full and none hold different targets"):
        compared([row("full", 0.0)], [short])
    with pytest.raises(ValueError, match=r"none \(seed 0\) and full \(seed 0\) hold different targets"):
        interval([row("full", 0.0), short])


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match="at least one result of each row, got none"):
        interval([])


def test_an_empty_slice_says_nothing():
    found = compared([row("full", 0.0)] * 3, [row("none", 0.0)] * 3, "in_season")
    assert (found.users, found.entries, found.p_value) == (0, 0, None)
    assert np.isnan([found.difference, found.low, found.high, found.effect_size]).all()


def test_holm_by_hand():
    # sorted .005 .01 .03 .04 times 4 3 2 1 = .02 .03 .06 .04; none below the one before: .02 .03 .06 .06
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.5, 0.9]), [1.0, 1.0])
    assert len(holm([])) == 0
