from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from seasonrec.evaluation.results.store import COLUMNS, RunResults
from seasonrec.evaluation.statistics.bootstrap import Bootstrap
from seasonrec.evaluation.statistics.significance import compare, holm, interval, intervals

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


def test_a_paired_difference_is_found_where_the_rows_overlap():
    first, second = [row("full", -0.1, noise=0.2)], [row("none", 0.0, noise=0.2)]
    found = compare(first, second, "all", "bits")
    assert found.low <= found.difference <= found.high < 0
    assert found.p_value < 0.05
    assert (found.users, found.seeds) == (USERS, (1, 1))
    assert found.entries == first[0].frame["items"].list.len().sum()
    assert interval(first, "all", "bits").high > interval(second, "all", "bits").low  # unpaired they overlap


def test_a_single_run_has_intervals():
    run = row("full", 0.0, noise=0.2)
    found = intervals(run, ["bits", "basket_hit@10"], ["all", "cold_items", "ordinary"])
    assert found.select("slice", "metric").rows() == [
        (name, metric) for name in ("all", "ordinary") for metric in ("bits", "basket_hit@10")
    ]
    expected = interval([run], "all", "bits")
    assert found.row(0)[2:] == (expected.value, expected.low, expected.high, USERS, expected.entries)
    assert found["n"][1] == USERS * BASKETS


def test_agreement_with_a_loop_over_users():
    first, second = row("full", -0.1, noise=0.5), row("none", 0.0, noise=0.5)
    found = compare([first], [second], "all", "bits", Bootstrap(replicates=1_500))
    gain = [
        (ours["bits"].explode().to_numpy() - theirs["bits"].explode().to_numpy())
        for (_, ours), (_, theirs) in zip(
            first.frame.group_by("user", maintain_order=True),
            second.frame.group_by("user", maintain_order=True),
            strict=True,
        )
    ]
    generator = np.random.default_rng(5)
    means = [
        np.concatenate([gain[user] for user in generator.integers(USERS, size=USERS)]).mean() for _ in range(1_500)
    ]
    low, high = np.quantile(means, [0.025, 0.975])
    by_user = np.array([values.mean() for values in gain])
    assert found.difference == pytest.approx(np.concatenate(gain).mean())
    assert [found.low, found.high] == pytest.approx([low, high], abs=0.12 * (high - low))
    assert found.effect_size == pytest.approx(by_user.mean() / by_user.std(ddof=1))


def test_no_difference_gives_an_interval_around_zero():
    found = compare([row("full", 0.0, noise=0.3)], [row("none", 0.0, noise=0.3)], "all", "bits")
    assert found.low < 0 < found.high
    assert found.p_value > 0.05
    same = compare([row("full", 0.0)], [row("full", 0.0)], "all", "bits")
    assert (same.difference, same.low, same.high, same.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert np.isnan(same.effect_size)


def test_seeds_are_averaged_before_users_are_drawn():
    seeds = [row("full", 0.0, seed=0), row("full", 0.4, seed=1)]
    found = compare(seeds, [row("none", 0.0)], "all", "bits")
    assert found.difference == pytest.approx(0.2, abs=1e-6)
    assert found.seeds == (2, 1)
    alone = interval(seeds, "all", "bits")
    assert alone.seed_values[1] - alone.seed_values[0] == pytest.approx(0.4, abs=1e-6)
    assert alone.value == pytest.approx(np.mean(alone.seed_values))
    assert alone.low < alone.value < alone.high


def test_different_fingerprints_are_refused_and_both_named():
    other = replace(row("none", 0.0), fingerprint="0" * 16)
    with pytest.raises(ValueError) as caught:
        compare([row("full", 0.0)], [other], "all", "bits")
    assert f"{'0' * 16} (none) and {'f' * 16} (full)" in str(caught.value)
    with pytest.raises(ValueError, match="different protocols"):
        interval([row("full", 0.0), other], "all", "bits")


def test_other_targets_under_one_fingerprint_are_refused():
    short = row("none", 0.0)
    short = replace(short, frame=short.frame.head(50))
    with pytest.raises(ValueError, match=r"none \(seed 0\) and full \(seed 0\) hold different targets"):
        compare([row("full", 0.0)], [short], "all", "bits")


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match="at least one result of each row, got none"):
        interval([], "all", "bits")


def test_an_empty_slice_says_nothing():
    found = compare([row("full", 0.0)], [row("none", 0.0)], "in_season", "bits")
    assert (found.users, found.entries, found.p_value) == (0, 0, 1.0)
    assert np.isnan([found.difference, found.low, found.high, found.effect_size]).all()


def test_holm_by_hand():
    # sorted .005 .01 .03 .04 times 4 3 2 1 = .02 .03 .06 .04; none below the one before: .02 .03 .06 .06
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.5, 0.9]), [1.0, 1.0])
    assert len(holm([])) == 0
