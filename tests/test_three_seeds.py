"""Tests of old comparisons by today's rule."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.three_seeds import Difference, markdown, read  # noqa: E402

HEAD = "row,against,slice,metric,difference,low,high,p,p_holm,effect_size,n,seeds,seed_low,seed_high,better\n"


def _file(path: Path, *lines: str) -> Path:
    path.write_text(HEAD + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_the_third_seed_follows_from_the_mean() -> None:
    difference = Difference.of(mean=3.0, low=2.5, high=3.5, seed_low=1.0, seed_high=6.0)
    assert difference.by_seed == (1.0, 2.0, 6.0)
    assert difference.seed_sd == pytest.approx(np.sqrt(7.0))  # (4 + 1 + 9) / 2
    assert difference.half == 0.5


def test_without_users_it_is_a_t_test_of_three_differences() -> None:
    # mean 3, standard error sqrt(7 / 3); t = 1.964 on 2 degrees of freedom
    assert Difference((1.0, 2.0, 6.0), 0.0).p_value() == pytest.approx(0.1885, abs=1e-3)


def test_without_seeds_it_is_the_interval_over_users() -> None:
    assert Difference((1.96, 1.96, 1.96), 1.96).p_value() == pytest.approx(0.05, abs=2e-4)


def test_equal_rows_have_no_evidence() -> None:
    assert Difference((0.0, 0.0, 0.0), 0.0).p_value() == 1.0


def test_seeds_that_lie_close_together_by_chance_are_no_proof() -> None:
    by_users, close = Difference((0.1, 0.1, 0.1), 0.05).p_value(), Difference((0.09, 0.1, 0.11), 0.05).p_value()
    assert by_users < 2e-4 < 0.002 < close < 0.02


@pytest.mark.parametrize("users", [0.05, 0.3, 1.0])
def test_equal_methods_are_seldom_marked(users: float) -> None:
    generator, found = np.random.default_rng(1), []
    for _ in range(400):
        first, second, third = generator.normal(size=3) + generator.normal() * users
        found.append(Difference((first, second, third), 1.96 * users).p_value())
    assert np.mean(np.array(found) < 0.05) < 0.072  # 0.05 and two standard errors
    assert np.mean(np.array(found) < 0.5) > 0.4  # not blind either


def test_outcome_slices_leave_before_the_correction(tmp_path: Path) -> None:
    lines = read(
        _file(
            tmp_path / "comparisons.csv",
            "full,gru,all,bits,0.0100,0.009,0.011,0.1,0.1,0,9,3,0.0099,0.0101,gru",
            "full,gru,all,ndcg@10,0.010,-0.02,0.04,0.1,0.1,0,9,3,-0.01,0.03,full",
            "full,gru,novel,bits,0.010,0.009,0.011,0.1,0.1,0,9,3,0.0099,0.0101,gru",
        )
    )
    assert lines["slice"].to_list() == ["all", "all"]
    first, second = markdown("temporal", lines).splitlines()[-2:]
    assert first.endswith("| gru |")  # more bits are worse
    assert second.endswith("|  |")
    assert lines["p_holm"][0] < 0.01 < 0.3 < lines["p_holm"][1]


def test_fewer_seeds_are_refused(tmp_path: Path) -> None:
    path = _file(tmp_path / "comparisons.csv", "full,gru,all,bits,1,0,2,0.1,0.1,0,9,1,1,1,")
    with pytest.raises(ValueError, match=r"must have 3 seeds in every line, got \[1\]; give seeds: \[0, 1, 2\]"):
        read(path)


def test_the_committed_file_is_what_the_script_writes() -> None:
    folder = ROOT / "experiments/02_method_sections/experts"
    lines = read(folder / "comparisons.csv")
    assert markdown("experts", lines) == (folder / "differences.md").read_text(encoding="utf-8")
    assert lines.filter(pl.col("against").str.contains("sharing"))["p_holm"].min() > 0.05
