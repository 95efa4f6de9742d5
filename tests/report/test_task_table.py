import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from made_results import make_run, write_run

from seasonrec.report.markdown import pipe_table
from seasonrec.report.rows import read_row
from seasonrec.report.selection import Selection
from seasonrec.report.tasks import read_tasks, task_table, tasks_markdown
from seasonrec.report.write import write_report

PURCHASE = {"samples": 40.0, "auc": 0.8, "average_precision": 0.5, "calibration_error": 0.01}


def write_tasks(folder: Path, seed: int, tasks: dict[str, dict[str, float]] | None) -> Path:
    folder.mkdir(parents=True)
    record = {"seed": seed} if tasks is None else {"seed": seed, "tasks": tasks}
    (folder / "metrics.json").write_text(json.dumps(record))
    return folder


@pytest.fixture
def table(tmp_path: Path) -> pl.DataFrame:
    better = {**PURCHASE, "auc": 0.9}
    full = [
        write_tasks(tmp_path / "full_0", 0, {"purchase": PURCHASE, "demand": {"wape": 0.2, "start_wape": 0.4}}),
        write_tasks(tmp_path / "full_1", 1, {"purchase": better, "demand": {"wape": 0.3, "start_wape": 0.4}}),
    ]
    one = [write_tasks(tmp_path / "one_0", 0, {"purchase": PURCHASE, "search": {"ndcg@10": 0.25}})]
    measured = {name: read_tasks(folders) for name, folders in {"full": full, "search_task": one}.items()}
    return task_table({name: lines for name, lines in measured.items() if lines is not None})


def test_every_metric_is_a_mean_over_seeds_with_their_range(table: pl.DataFrame) -> None:
    auc = table.row(by_predicate=(pl.col("row") == "full") & (pl.col("metric") == "auc"), named=True)
    assert (auc["value"], auc["low"], auc["high"], auc["seeds"]) == pytest.approx((0.85, 0.8, 0.9, 2))
    assert table.filter(row="full", task="purchase")["metric"].to_list() == list(PURCHASE)


def test_the_markdown_has_a_column_for_each_shown_metric_that_any_row_has(table: pl.DataFrame) -> None:
    lines = [line for line in tasks_markdown(table).splitlines() if line.startswith("|")]
    head, _, full, one = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    assert head == ["row", "purchase AUC ↑", "purchase AP ↑", "demand WAPE ↓", "search NDCG@10 ↑"]
    assert full == ["full", "0.8500 ±0.0500", "0.5000 ±0.0000", "0.2500 ±0.0500 (0.4000)", ""]
    assert one == ["search_task", "0.8000", "0.5000", "", "0.2500"]


def test_rows_without_further_tasks_have_none(tmp_path: Path) -> None:
    assert read_tasks([write_tasks(tmp_path / "one", 0, None), tmp_path / "not_there"]) is None


def test_a_report_has_the_table_where_a_row_has_tasks_and_only_there(tmp_path: Path, targets: pl.DataFrame) -> None:
    selection = Selection("tasks", "?", ("all",), ("bits",), figure_rows=("full",), baseline_reference="full")
    for name in ("full", "purchase_task"):
        write_run(tmp_path / name, make_run(targets, name, 0))
    rows = [read_row(name, False, [tmp_path / name]) for name in ("full", "purchase_task")]
    write_report(tmp_path, rows, selection)
    assert not list(tmp_path.glob("tasks.*"))
    measured = read_tasks([write_tasks(tmp_path / "tried", 0, {"purchase": PURCHASE})])
    told = write_report(tmp_path, [rows[0], replace(rows[1], tasks=measured)], selection)
    assert tmp_path / "tasks.md" in told.files
    assert set(pl.read_csv(tmp_path / "tasks.csv")["row"]) == {"purchase_task"}


def test_a_bar_in_an_entry_does_not_end_its_column() -> None:
    table = pipe_table(["pair", "slice", "n"], [["a|b", "all", "3"]], words=2)
    assert table == "| pair | slice | n |\n| --- | --- | ---: |\n| a\\|b | all | 3 |"
