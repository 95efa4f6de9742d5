"""Tests of the sums by user that a study keeps, and of the comparison with rows of another study."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from made_results import make_run, make_targets
from polars.testing import assert_frame_equal

from seasonrec.report.comparisons import comparison_table
from seasonrec.report.errors import ReportError
from seasonrec.report.per_user import FILE, KEY, read_sums, with_kept_rows, write_sums
from seasonrec.report.rows import Row
from seasonrec.report.selection import Selection
from seasonrec.report.write import write_report

COLUMNS = [("all", "bits"), ("all", "basket_recall@10"), ("christmas", "bits")]
SELECTION = Selection("mine", "?", ("all", "christmas", "month_11"), ("bits",), first_metrics=("ndcg@10",))


@pytest.fixture
def kept(rows: list[Row], tmp_path: Path) -> Path:
    return write_sums(tmp_path / FILE, "theirs", rows, COLUMNS)


@pytest.fixture
def mine(targets: pl.DataFrame) -> list[Row]:
    return [Row("full", False, tuple(make_run(targets, "mine", seed, 0.3) for seed in (0, 1, 2)))]


def test_what_is_read_is_what_was_measured(rows: list[Row], kept: Path) -> None:
    study = read_sums(kept)
    assert (study.name, study.fingerprint, study.part) == ("theirs", rows[0].fingerprint, "test")
    assert [row.name for row in study.rows] == ["theirs/full", "theirs/no_season", "theirs/no_text"]  # no counters
    for row, known in zip(study.rows, rows[1:], strict=True):
        assert row.seeds == known.seeds
        for column in COLUMNS:
            one, other = row.measure(*column), known.measure(*column)
            np.testing.assert_array_equal(one.users, other.users)
            np.testing.assert_array_equal(one.counts, other.counts)
            np.testing.assert_allclose(one.sums, other.sums, rtol=1e-6)
            assert (one.seed_values, one.by_user, one.seed_sd) == (other.seed_values, other.by_user, other.seed_sd)


def test_a_comparison_with_the_file_is_that_with_the_runs(rows: list[Row], mine: list[Row], kept: Path) -> None:
    both, selection = with_kept_rows(mine, SELECTION, kept)
    assert (selection.slices, selection.first_metrics) == (("all", "christmas"), ())  # the file has no other column
    found = comparison_table(both, "full", selection.columns)
    renamed = [replace(row, name=f"theirs/{row.name}") for row in rows[1:]]
    expected = comparison_table([*mine, *renamed], "full", selection.columns)
    assert_frame_equal(found, expected, rel_tol=1e-3)
    assert found.drop_nulls("better").height


def test_a_report_with_rows_of_another_study_has_no_figures_of_theirs(
    mine: list[Row], kept: Path, tmp_path: Path
) -> None:
    both, selection = with_kept_rows(mine, SELECTION, kept)
    report = write_report(tmp_path / "against", both, selection, keep_sums=False)
    assert [row.name for row in report.grid.rows] == ["full", "theirs/full", "theirs/no_season", "theirs/no_text"]
    assert "| theirs/no_season |" in (tmp_path / "against" / "table.md").read_text()
    assert "theirs" not in (tmp_path / "against" / "figure_weeks.csv").read_text()
    assert FILE not in {path.name for path in report.files}


def test_the_row_of_other_seeds_is_left_to_its_own_study(mine: list[Row], rows: list[Row], tmp_path: Path) -> None:
    aa = replace(rows[1], name="aa")
    path = write_sums(tmp_path / FILE, "theirs", [*rows, aa], COLUMNS)
    both, _ = with_kept_rows(mine, SELECTION, path)
    assert [row.name for row in both] == ["full", "theirs/full", "theirs/no_season", "theirs/no_text"]
    only = write_sums(tmp_path / "only.parquet", "theirs", [aa], COLUMNS)
    with pytest.raises(ReportError, match="has no trained row, so that there is nothing to compare with"):
        with_kept_rows(mine, SELECTION, only)


def test_another_protocol_part_or_column_is_refused(mine: list[Row], rows: list[Row], kept: Path) -> None:
    other = [replace(row, runs=tuple(replace(run, fingerprint="fedcba9876543210") for run in row.runs)) for row in mine]
    with pytest.raises(
        ReportError, match="has fingerprint 0123456789abcdef and part test, and this study has fedcba98"
    ):
        with_kept_rows(other, SELECTION, kept)
    part = [replace(row, runs=tuple(replace(run, part="validation") for run in row.runs)) for row in mine]
    with pytest.raises(ReportError, match="and this study has 0123456789abcdef and validation"):
        with_kept_rows(part, SELECTION, kept)
    with pytest.raises(ReportError, match=r"no slice of this report with all of its metrics mrr; its slices: all, chr"):
        with_kept_rows(mine, Selection("mine", "?", ("all",), ("mrr",)), kept)


def test_other_users_under_one_fingerprint_are_refused(mine: list[Row], tmp_path: Path) -> None:
    others = make_targets(users=20)
    rows = [Row("full", False, tuple(make_run(others, "full", seed) for seed in (0, 1, 2)))]
    path = write_sums(tmp_path / FILE, "theirs", rows, COLUMNS)
    both, selection = with_kept_rows(mine, SELECTION, path)
    with pytest.raises(ValueError, match="mine and theirs/full hold different targets"):
        comparison_table(both, "full", selection.columns)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda path: path.unlink(), "no such file; give the per_user.parquet of a study's report"),
        (lambda path: path.write_bytes(path.read_bytes()[:300]), "is damaged or no per_user.parquet of a study"),
        (lambda path: path.write_bytes(b""), "is damaged or no per_user.parquet of a study"),
        (lambda path: pl.DataFrame({"user": [1]}).write_parquet(path), "is damaged or no per_user.parquet of a study"),
        (lambda path: _again(path, {"version": 2}), "has version 2 and this code reads 1"),
        (lambda path: _again(path, {"rows": ["full"]}), "is damaged or no per_user.parquet of a study"),
        (lambda path: _again(path, {}, "full/all/bits"), "is damaged or no per_user.parquet of a study"),
        (
            lambda path: _again(path, {}, doubled="full/all/bits"),
            "the sums in full/all/bits do not have the mean of the seeds",
        ),
    ],
)
def test_a_damaged_or_foreign_file_is_one_clear_error(kept: Path, damage, told: str) -> None:
    damage(kept)
    with pytest.raises(ReportError, match=r"per_user\.parquet") as caught:
        read_sums(kept)
    assert told in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def _again(path: Path, changes: dict[str, object], without: str = "", doubled: str = "") -> None:
    head, frame = json.loads(pl.read_parquet_metadata(path)[KEY]), pl.read_parquet(path)
    frame = frame.drop(without) if without else frame
    frame = frame.with_columns(pl.col(doubled) * 2) if doubled else frame
    frame.write_parquet(path, metadata={KEY: json.dumps(head | changes)})


def test_the_file_of_a_large_study_is_small(tmp_path: Path) -> None:
    targets = make_targets(users=2_467, baskets=12_000, lines=4)
    rows = [Row(f"row{number}", False, (make_run(targets, f"row{number}", 0),)) for number in range(5)]
    columns = [(name, metric) for name in ("all", "christmas", "thanksgiving") for metric in ("bits", "ndcg@10")]
    size = write_sums(tmp_path / FILE, "large", rows, columns).stat().st_size
    assert size / (len(rows) * len(columns)) < 2e6 / (10 * 10)  # 2 MB for ten rows and ten columns
