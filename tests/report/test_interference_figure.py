from dataclasses import replace
from pathlib import Path

import matplotlib.image
import polars as pl
import pytest

from seasonrec.report.interference import (
    MOST_POINTS,
    _shown,
    interference_figure,
    interference_table,
    read_interference,
)
from seasonrec.report.selection import Selection
from seasonrec.report.write import write_report

HEADER = "epoch,step,task_a,task_b,cosine\n"


def write_run(folder: Path, cosines: list[float]) -> Path:
    """Writes one pair of tasks with the given cosines, and one with cosines of 0.5."""
    folder.mkdir(parents=True)
    lines = [f"1,{10 * n},next_item,spend,{c}\n1,{10 * n},next_item,demand,0.5\n" for n, c in enumerate(cosines)]
    (folder / "interference.csv").write_text(HEADER + "".join(lines))
    return folder


@pytest.fixture
def table(tmp_path) -> pl.DataFrame:
    falling = [0.8 - 0.01 * n for n in range(100)]
    rows = {
        "full": [write_run(tmp_path / "full_0", falling), write_run(tmp_path / "full_1", [-c for c in falling])],
        "pcgrad_balancing": [write_run(tmp_path / "pcgrad_0", falling)],
    }
    return interference_table({name: read_interference(folders) for name, folders in rows.items()})


def test_measurements_of_a_part_of_the_training_are_averaged(table):
    one = table.filter(row="pcgrad_balancing", task_b="spend")
    assert one.height == MOST_POINTS
    assert one["n"].sum() == 100
    first = one.row(0, named=True)
    assert first["step"] == 0
    assert first["n"] == 5  # steps 0, 10 .. 40 of 0 .. 41.2
    assert first["cosine"] == pytest.approx((0.8 + 0.79 + 0.78 + 0.77 + 0.76) / 5)
    assert (first["low"], first["high"]) == pytest.approx((0.76, 0.8))
    assert one["conflicts"][0] == 0
    assert one["conflicts"][-1] == 1
    both = table.filter(row="full", task_b="spend")  # the second seed has the opposite cosines
    assert both["cosine"].abs().max() < 1e-9
    assert both["n"][0] == 10
    assert (table.filter(task_b="demand")["cosine"] == 0.5).all()


def test_runs_that_measured_nothing(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "interference.csv").write_text(HEADER)
    assert read_interference([tmp_path / "none", tmp_path / "empty"]) is None
    both = [tmp_path / "none", write_run(tmp_path / "one", [0.1])]
    assert read_interference(both)["run"].to_list() == [1, 1]


def test_a_report_has_the_figure_where_a_row_measured(rows, tmp_path, monkeypatch):
    for other in ("week_figure", "effect_figure"):
        monkeypatch.setattr(f"seasonrec.report.write.{other}", lambda *told: [])  # they take seconds
    lines = read_interference([write_run(tmp_path / "run", [0.1, -0.1])])
    for number, measured in enumerate((None, lines)):
        (tmp_path / str(number)).mkdir()
        told = [replace(row, interference=measured) if row.name == "full" else row for row in rows]
        write_report(tmp_path / str(number), told, Selection("s", "?", ("all",), ("bits",)))
    written = {path.name for path in (tmp_path / "1").iterdir()} - {path.name for path in (tmp_path / "0").iterdir()}
    assert written == {f"figure_interference.{ending}" for ending in ("csv", "png", "pdf")}
    drawn = pl.read_csv(tmp_path / "1" / "figure_interference.csv")
    assert drawn["row"].unique().to_list() == ["full"]


def test_of_many_pairs_those_that_conflict_most_are_shown():
    lines = [(f"t{n}", "u", 0.1 * n) for n in range(9)]
    table = pl.DataFrame(lines, schema=["task_a", "task_b", "cosine"], orient="row")
    assert _shown(table) == [(f"t{n}", "u") for n in range(7)]


def test_figure_is_drawn_and_comes_out_the_same_twice(table, tmp_path):
    table = table.filter(row="full")
    png, pdf = interference_figure(tmp_path / "one", table)
    image = matplotlib.image.imread(png)
    assert min(image.shape[:2]) > 300
    assert (image[..., :3].min(axis=2) < 0.9).mean() > 0.01  # more than an empty frame
    assert pdf.read_bytes().startswith(b"%PDF")
    again, _ = interference_figure(tmp_path / "two", table)
    assert again.read_bytes() == png.read_bytes()
