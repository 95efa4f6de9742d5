"""The report of several walks, from made results."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from made_results import make_run, make_targets

from seasonrec.ablate import report
from seasonrec.evaluation.results.store import write_results
from seasonrec.report.errors import ReportError
from seasonrec.report.walks import adaptation_table, read_walks, walk_folders

ORIGINS = (("2017-11-06", "2017-12-01"), ("2017-12-01", "2018-01-01"))
TARGETS = make_targets()


def make_walk(folder: Path, name: str, seed: int, loss: float, run: str = "full") -> Path:
    """Writes a walk that needs ``loss`` bits more; walks of one seed share its noise."""
    results = replace(make_run(TARGETS, "shared", seed, loss), name=name)
    write_results(folder / "results.parquet", results)
    days = [origin for origin, _ in ORIGINS]
    record = {"name": name, "walk": True, "seed": seed, "run": run, "origins": days}
    (folder / "record.json").write_text(json.dumps(record))
    (folder / "origins").mkdir()
    for origin, after in ORIGINS:
        row = {
            "origin": origin, "next_origin": after, "n": 9, "decision": "worse" if origin == "2017-12-01" else "live",
            "seconds": {"update": 3.0, "gate": 1.0, "evaluate": 9.0}, "year_ago": {"value": loss},
            "trained_bytes": 2_000_000, "kept_bytes": 0,
        }  # fmt: skip
        (folder / "origins" / f"{origin}.json").write_text(json.dumps(row))
    return folder


@pytest.fixture
def walks(tmp_path: Path) -> Path:
    for seed in range(3):
        make_walk(tmp_path / "full" / f"seed_{seed}", "full", seed, loss=-0.05 - 0.002 * seed)
        make_walk(tmp_path / "static" / f"seed_{seed}", "static", seed, loss=0.0)
    return tmp_path


def test_differences_are_paired_by_user_and_by_the_run_that_both_began_with(walks: Path) -> None:
    rows = read_walks(walk_folders(walks))
    assert [row.name for row in rows] == ["static", "full"]
    assert rows[0].seeds == (0, 1, 2)
    table = adaptation_table(rows)
    (line,) = table.filter(row="full", period="all", metric="bits").to_dicts()
    assert line["difference"] == pytest.approx(-0.052, abs=1e-5)
    assert line["value"] - table.filter(row="static", period="all", metric="bits")["value"][0] == pytest.approx(
        line["difference"]
    )
    assert line["difference_high"] - line["difference_low"] < 0.02  # the noise of a seed is in both walks
    assert line["difference_high"] < 0
    assert line["p_holm"] < 0.05
    by_period = table.filter(metric="bits", row="full")
    assert by_period["period"].to_list() == ["all", "2017-11-06", "2017-12-01"]
    assert by_period["n"][0] == by_period["n"][1:].sum()


def test_the_report_has_a_table_and_a_figure(walks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(walks)
    text = (walks / "adaptation.md").read_text()
    assert text in capsys.readouterr().out
    (line,) = [line for line in text.splitlines() if line.startswith("| full | ") and "2.00" in line]
    assert "-0.052" in line
    assert "‡" in line
    assert line.split(" | ")[5:9] == ["-0.052", "3", "3", "0"]
    assert "| row | 2017-11-06 | 2017-12-01 |" in text
    assert (walks / "figure_adaptation.png").stat().st_size > 5000
    assert pl.read_csv(walks / "adaptation.csv").height == 2 * 3 * 2


def test_one_seed_has_no_mark(tmp_path: Path) -> None:
    make_walk(tmp_path / "a", "static", 0, 0.0)
    make_walk(tmp_path / "b", "full", 0, -0.5)
    table = adaptation_table(read_walks(walk_folders(tmp_path)))
    assert table["p"].null_count() == table.height
    assert table.filter(row="full", period="all", metric="bits")["difference_high"][0] < 0


@pytest.mark.parametrize(
    ("name", "seed", "run", "message"),
    [
        ("static", 0, "full", "is a second walk called 'static' with seed 0"),
        ("full", 9, "full", r"full has the seeds \[9\] and static has not"),
        ("full", 0, "sasrec", "must begin with the seeds of one run, got full, sasrec"),
    ],
)
def test_walks_that_do_not_compare_are_refused(tmp_path: Path, name: str, seed: int, run: str, message: str) -> None:
    make_walk(tmp_path / "a", "static", 0, 0.0)
    make_walk(tmp_path / "b", name, seed, 0.0, run)
    with pytest.raises(ReportError, match=message):
        read_walks(walk_folders(tmp_path))


def test_a_table_needs_its_reference(tmp_path: Path) -> None:
    make_walk(tmp_path / "a", "full", 0, 0.0)
    with pytest.raises(ReportError, match="the reference 'static' has no walk; there are full"):
        read_walks(walk_folders(tmp_path))
