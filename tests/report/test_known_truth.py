"""The distance to the oracle: closed shares, kinds of items, and the text of the report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from made_results import make_run, make_targets
from made_wrong_dates import write_wrong_dates

from seasonrec.evaluation.known_truth.kinds import KINDS, ORACLE_FILE, TRUTH_FILE
from seasonrec.report.known_truth import distance_table, has_oracle, kind_table, oracle_dates, oracle_markdown
from seasonrec.report.rows import Row

USERS = 30
LOSSES = {"no_season": 1.0, "full": 0.2, "calendar": 0.6}


def _masses(path: Path, lost: float) -> Path:
    """Writes a table in which every user has two requests and loses bits on promoted items."""
    lines = [
        (user, kind, 2, 0.1, 0.2, lost * (kind == "promotion") * (1 + user / USERS))
        for user in range(USERS)
        for kind in KINDS
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ["user", "kind", "requests", "mass", "true_mass", "bits_lost"]
    pl.DataFrame(lines, schema=names, orient="row").write_parquet(path)
    return path


@pytest.fixture
def rows(tmp_path: Path) -> list[Row]:
    targets = make_targets(USERS, 600)
    made = [Row("oracle", True, (make_run(targets, "oracle", 0),))]
    for name, loss in LOSSES.items():
        runs = tuple(make_run(targets, name, seed, loss=loss + 0.02 * seed) for seed in range(3))
        files = tuple(_masses(tmp_path / name / str(seed) / TRUTH_FILE, loss) for seed in range(3))
        made.append(Row(name, False, runs, known_truth=files))
    return made


def test_a_row_closes_its_share_of_the_distance(rows: list[Row]) -> None:
    table = distance_table(rows, ("all",))
    closed = dict(table.select("row", "closed").iter_rows())
    assert closed["no_season"] == 0
    assert closed["oracle"] == 1
    assert closed["full"] == pytest.approx(0.8 / 1.02, abs=0.02)
    assert closed["calendar"] == pytest.approx(0.4 / 1.02, abs=0.02)
    gaps = dict(table.select("row", "gap").iter_rows())
    assert gaps["full"] == pytest.approx(gaps["no_season"] * (1 - closed["full"]))
    assert table.filter(row="oracle")["half"].to_list() == table.filter(row="no_season")["half"].to_list() == [None]


def test_the_interval_of_a_share_is_that_of_the_ratio_over_users(rows: list[Row]) -> None:
    one_seed = [replace(row, runs=row.runs[:1]) for row in rows]  # users alone: one seed has no spread
    half = distance_table(one_seed, ("all",)).filter(row="calendar")["half"].item()
    start, own, end = (
        next(row for row in one_seed if row.name == name).measure("all", "bits")
        for name in ("no_season", "calendar", "oracle")
    )
    draws = np.random.default_rng(0).multinomial(USERS, np.full(USERS, 1 / USERS), size=4000)
    ratios = (draws @ (start.sums - own.sums)) / (draws @ (start.sums - end.sums))
    assert half == pytest.approx(1.96 * ratios.std(), rel=0.15)


def test_seeds_that_differ_widen_the_interval_of_a_share(rows: list[Row]) -> None:
    apart = [
        replace(row, runs=tuple(replace(run, frame=_more(run.frame, 0.3 * run.seed)) for run in row.runs))
        if row.name == "calendar"
        else row
        for row in rows
    ]
    halves = [distance_table(some, ("all",)).filter(row="calendar")["half"].item() for some in (rows, apart)]
    assert halves[1] > 5 * halves[0]


def _more(frame: pl.DataFrame, bits: float) -> pl.DataFrame:
    return frame.with_columns(pl.col("bits").list.eval(pl.element() + bits))


def test_bits_lost_are_means_over_requests_and_seeds(rows: list[Row]) -> None:
    table = kind_table(rows)
    assert set(table["row"]) == set(LOSSES)  # the oracle of this test has no file
    line = table.filter(row="full", kind="promotion", metric="bits_lost").row(0, named=True)
    assert line["value"] == pytest.approx(0.2 * np.mean(1 + np.arange(USERS) / USERS) / 2)
    assert line["requests"] == 2 * USERS
    assert line["seeds"] == 3
    assert line["half"] > 0
    assert table.filter(row="full", kind="gone", metric="bits_lost")["value"].item() == 0


def test_the_report_needs_the_oracle_and_the_row_without_season(rows: list[Row]) -> None:
    assert has_oracle(rows)
    assert not has_oracle(rows[1:])
    assert not has_oracle([row for row in rows if row.name != "no_season"])
    assert not has_oracle([replace(row, gives_probabilities=row.name == "oracle") for row in rows])


def test_an_interval_is_over_users_only_if_a_row_has_too_few_seeds(rows: list[Row]) -> None:
    def half(shifts: tuple[float, ...], seeds: int) -> float:
        start = zip(rows[1].runs, shifts, strict=True)
        moved = replace(rows[1], runs=tuple(replace(run, frame=_more(run.frame, shift)) for run, shift in start))
        own = replace(rows[3], runs=rows[3].runs[:seeds])
        return distance_table([rows[0], moved, own], ("all",)).filter(row="calendar")["half"].item()

    assert half((0.0, 0.3, 0.6), 1) == pytest.approx(half((0.3, 0.3, 0.3), 1), rel=1e-3)
    assert half((0.0, 0.3, 0.6), 3) > 5 * half((0.3, 0.3, 0.3), 3)


def test_a_few_users_have_no_interval() -> None:
    targets = make_targets(4, 40)
    rows = [Row("oracle", True, (make_run(targets, "oracle", 0),))]
    rows += [Row(name, False, (make_run(targets, name, 0, loss=loss),)) for name, loss in LOSSES.items()]
    distance = distance_table(rows, ("all",))
    assert distance["half"].null_count() == distance.height
    assert "nan" not in oracle_markdown(distance, kind_table(rows), [])


def test_the_report_has_all_tables(rows: list[Row], tmp_path: Path) -> None:
    dated = write_wrong_dates(tmp_path / "dated", 0)
    write_wrong_dates(tmp_path / "oracle", 0).rename(dated.with_name(ORACLE_FILE))
    told = oracle_dates([rows[0], replace(rows[1], wrong_dates=(dated,))])
    text = oracle_markdown(distance_table(rows, ("all",)), kind_table(rows), told)
    assert "| row | all: bits | all: above | all: closed |" in text
    assert "| oracle |" in text
    assert "| +0.000 | 100% |" in text
    assert "| row | promotion | promotion over | promotion a year ago |" in text
    assert "| full | 0.0500 ±0.0000 | 0.0500 ±0.0000 | 0.0500 ±0.0000 |" in text
    assert "| both | 182 | +0.120 ±0.004 | +0.120 ±0.004 |" in text
    assert oracle_dates(rows) == []
