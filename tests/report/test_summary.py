"""Tests of the summary that a study ends with."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from seasonrec.report.comparisons import spell_p
from seasonrec.report.rows import Row
from seasonrec.report.selection import Selection
from seasonrec.report.summary import Report, answer, show
from seasonrec.report.write import write_report

SLICES = ("all", "thanksgiving", "christmas", "after_christmas", "ordinary", "cold_users", "month_11", "month_12")


@pytest.fixture(scope="module")
def report(rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> Report:
    return write_report(tmp_path_factory.mktemp("report"), rows, Selection("s", "Why?", SLICES, ("ndcg@10", "bits")))


def shown(report: Report, **terminal: object) -> list[str]:
    stream = io.StringIO()
    show(report, Console(file=stream, **terminal))  # type: ignore[arg-type]
    return stream.getvalue().splitlines()


@pytest.mark.parametrize(("width", "columns"), [(100, 4), (60, 2), (40, 1)])
def test_a_terminal_shows_the_columns_that_fit_it(report: Report, width: int, columns: int) -> None:
    framed = [line for line in shown(report, width=width, force_terminal=True, color_system=None) if line[0] in "╭│├╰"]
    assert {len(line) for line in framed} <= set(range(width + 1))
    assert framed[0].count("┬") == columns
    assert [line.split("│")[1].strip() for line in framed if line[0] == "│"] == [
        "", "row", "personal_recent", "full", "no_season", "no_text",
    ]  # fmt: skip


def test_the_main_columns_are_all_metrics_over_all_then_the_metric_of_the_figures(report: Report) -> None:
    slices, metrics = (line.split("│")[2:-1] for line in shown(report)[2:4])
    assert [entry.strip() for entry in slices] == ["all", "all", "thanksgiving", "christmas"]
    assert [entry.strip() for entry in metrics] == ["NDCG@10 ↑", "bits ↓", "bits ↓", "bits ↓"]


def test_the_answer_tells_the_comparisons_over_all(report: Report) -> None:
    of = {line["against"]: line for line in report.compared.filter(slice="all", metric="bits").iter_rows(named=True)}
    assert {name: line["better"] for name, line in of.items()} == {
        "personal_recent": "full", "no_season": "full", "no_text": None,
    }  # fmt: skip
    counter = of["personal_recent"]
    assert answer(report) == (
        "Why? In bits on all (3 seeds), full is better than no_season; not distinguishable from no_text; better than "
        f"the strongest baseline, personal_recent ({counter['difference']:+.3f} [{counter['low']:+.3f}, "
        f"{counter['high']:+.3f}], p = {spell_p(counter['p_holm'])} after Holm)."
    )


def test_the_answer_does_not_hide_that_the_reference_is_worse(report: Report) -> None:
    worse = report.compared.with_columns(pl.col("against").alias("better"))
    told = answer(replace(report, compared=worse))
    assert "full is worse than no_season, no_text; worse than the strongest baseline, personal_recent (" in told


def test_the_strongest_baseline_is_the_one_with_the_fewest_bits(rows: list[Row], tmp_path: Path) -> None:
    as_baselines = [replace(row, is_baseline=row.name != "full") for row in rows]
    report = write_report(tmp_path, as_baselines, Selection("s", "Why?", ("all",), ("bits",)))
    assert "(3 seeds), full is not distinguishable from the strongest baseline, no_text (" in answer(report)


def test_the_answer_of_one_seed_claims_nothing(rows: list[Row], tmp_path: Path) -> None:
    one = [replace(row, runs=row.runs[:1]) for row in rows]
    told = answer(write_report(tmp_path, one, Selection("s", "Why?", ("all",), ("bits",))))
    assert told.startswith("Why? In bits on all (one seed), full is ahead of no_season")
    assert "ahead of the strongest baseline, personal_recent (" in told
    assert "], over users only)" in told
    assert told.endswith("Fewer than 3 seeds test nothing: another training may turn it round.")


def test_a_study_of_one_row_compares_nothing(rows: Sequence[Row], tmp_path: Path) -> None:
    report = write_report(tmp_path, [rows[1]], Selection("s", "Why?", ("all",), ("bits",), figure_rows=("full",)))
    assert answer(report) == "Why? Only full has results, so nothing is compared."
    assert shown(report)[-1].startswith(f"Open first: {tmp_path / 'figure_weeks.png'};")
