"""Tests of rows that pool the targets of several origins."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from made_results import hand_run, write_run

from seasonrec.evaluation.results.store import RunResults
from seasonrec.report.origins import origin_table, origins_markdown, read_pooled
from seasonrec.report.rows import Row
from seasonrec.report.selection import Selection
from seasonrec.report.table_notes import origins_note

JUNE, AUGUST = "2011-06-01", "2011-08-01"
BITS = {JUNE: [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], AUGUST: [[7.0, 8.0], [9.0, 10.0]]}
"""Users 0, 1 and 2 buy after the first origin, users 1 and 3 after the second."""
SELECTION = Selection("s", "?", ("all",), ("bits",))


def run_at(day: str, seed: int, more: float = 0.0) -> RunResults:
    bits = [[value + more for value in row] for row in BITS[day]]
    run = hand_run("full", seed, bits, [[0, 1]] * len(bits), print_=f"{day[5:7]}23456789abcdef"[:16])
    users = [0, 1, 2] if day == JUNE else [1, 3]
    return replace(run, frame=run.frame.with_columns(user=pl.Series(users, dtype=pl.Int32)))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Returns two seeds at both origins, and a third seed that is not complete at the second origin."""
    base = tmp_path_factory.mktemp("study")
    found: dict[str, list[Path]] = {JUNE: [], AUGUST: []}
    for day, seed in ((JUNE, 0), (JUNE, 1), (JUNE, 2), (AUGUST, 0), (AUGUST, 1)):
        folder = base / day / f"seed_{seed}"
        folder.mkdir(parents=True)
        write_run(folder, run_at(day, seed, more=seed), parameters=10)
        metrics = json.loads((folder / "metrics.json").read_text())
        task = {"demand": {"wape": 0.4 if day == JUNE else 0.8}}
        (folder / "metrics.json").write_text(json.dumps({**metrics, "seed": seed, "tasks": task}))
        found[day].append(folder)
    return found


@pytest.fixture(scope="module")
def row(folders: dict[str, list[Path]]) -> Row:
    found = read_pooled("full", False, folders)
    assert found is not None
    return found


def test_a_user_who_buys_after_several_origins_is_one_user(row: Row) -> None:
    one = row.measure("all", "bits")
    assert one.users.tolist() == [0, 1, 2, 3]
    assert one.counts.tolist() == [2, 4, 2, 2]
    assert one.sums.tolist() == pytest.approx([4.0, 24.0, 12.0, 20.0])  # means over seeds, half a bit above BITS


def test_a_seed_is_one_training_of_all_origins(row: Row) -> None:
    assert row.seeds == (0, 1)  # the third has no results at the second origin
    mean = np.mean([value for rows in BITS.values() for pair in rows for value in pair])
    assert row.measure("all", "bits").seed_values == pytest.approx((mean, mean + 1))


def test_the_fingerprint_holds_those_of_all_origins(row: Row, folders: dict[str, list[Path]]) -> None:
    assert len(row.fingerprint) == 16
    assert row.fingerprint not in {one.fingerprint for one in row.origins.values()}
    other = read_pooled("full", False, {AUGUST: folders[AUGUST], JUNE: folders[JUNE][:2]})
    assert other is not None
    assert other.fingerprint != row.fingerprint


def test_costs_and_tasks_are_means_over_the_trainings(row: Row) -> None:
    assert row.cost is not None
    assert row.cost.seconds["fit"] == 120.0
    assert row.tasks is not None
    told = {seed: value for seed, value in row.tasks.select("seed", "value").iter_rows() if seed < 2}
    assert told == pytest.approx({0: 0.6, 1: 0.6})


def test_columns_that_an_origin_lacks_are_left_out(folders: dict[str, list[Path]], tmp_path: Path) -> None:
    run = run_at(AUGUST, 0)
    born = pl.Series([[False, False], [True, False]], dtype=pl.List(pl.Boolean))
    write_run(tmp_path, replace(run, frame=run.frame.with_columns(gap_birth=born)))
    found = read_pooled("full", False, {JUNE: folders[JUNE][:1], AUGUST: [tmp_path]})
    assert found is not None
    assert "gap_births" not in found.runs[0].events.masks
    assert "gap_births" in found.origins[AUGUST].runs[0].events.masks


def test_a_row_that_lacks_an_origin_has_no_pooled_numbers(folders: dict[str, list[Path]]) -> None:
    assert read_pooled("full", False, {**folders, AUGUST: []}) is None
    assert read_pooled("full", False, {JUNE: folders[JUNE][2:], AUGUST: folders[AUGUST]}) is None


def test_each_origin_has_its_own_numbers(row: Row) -> None:
    table = origin_table([row], SELECTION)
    assert table.columns[:5] == ["origin", "row", "slice", "metric", "value"]
    told = dict(table.select("origin", "value").iter_rows())
    assert told == pytest.approx({JUNE: 4.0, AUGUST: 9.0})
    assert table["n"].to_list() == [6, 4]
    text = origins_markdown(table)
    assert f"| row | {JUNE} | {AUGUST} |" in " ".join(text.split()).replace("--", "")
    assert "*6*" in text
    assert "*4*" in text


def test_a_slice_that_an_origin_lacks_is_empty_there(row: Row) -> None:
    run = row.origins[AUGUST].runs[0]
    december = replace(run, frame=run.frame.with_columns(month=pl.lit(12, dtype=pl.Int8)))
    both = replace(row, origins={JUNE: row.origins[JUNE], AUGUST: replace(row.origins[AUGUST], runs=(december,))})
    table = origin_table([both], replace(SELECTION, slices=("all", "month_12")))
    assert table.filter(slice="month_12")["origin"].to_list() == [AUGUST]
    assert "month 12" in origins_markdown(table)


def test_a_table_tells_its_origins_and_what_it_leaves_out(row: Row) -> None:
    assert origins_note([Row("other", True, row.runs)], ()) == ""
    told = origins_note([row], ("last_year",))
    assert told.startswith(f"Rolling origins {JUNE}, {AUGUST}: a model for each")
    assert told.endswith("left out, because they have no results at some origin: last_year")
