"""Tests of rolling origins: their splits and cells, what is refused before a cell, and a small study to its tables."""

import io
import json
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import polars as pl
import pytest
from rich.console import Console
from small_log import SMALL, write_log

from seasonrec.ablate import entry
from seasonrec.ablate.cells import expand
from seasonrec.ablate.launch import Job, Running
from seasonrec.ablate.launchers import plan
from seasonrec.ablate.origins import cuts_of, with_cuts
from seasonrec.ablate.runner import Options
from seasonrec.ablate.study import Study, StudyError
from seasonrec.cli.main import main
from seasonrec.evaluation.results.store import read_results

DAYS = ("2011-06-01", "2011-08-01", "2011-10-01")
STUDY = Study("small", ("data=table",), "?", ("full", "no_season"), (0, 1), origins=DAYS, cuts=cuts_of(DAYS, 0.0, None))


def test_the_test_part_of_an_origin_is_the_validation_part_of_the_next():
    assert cuts_of(DAYS, 0.0, None) == {
        "2011-06-01": ("split.validation_from=2011-04-01", "split.test_from=2011-06-01", "split.test_until=2011-08-01"),
        "2011-08-01": ("split.validation_from=2011-06-01", "split.test_from=2011-08-01", "split.test_until=2011-10-01"),
        "2011-10-01": ("split.validation_from=2011-08-01", "split.test_from=2011-10-01", "split.test_until=null"),
    }


def test_a_gap_moves_the_validation_part_and_keeps_its_length():
    cuts = cuts_of(DAYS[:2], 9.5, "2011-09-01")
    assert cuts["2011-08-01"] == (
        "split.validation_from=2011-05-22", "split.test_from=2011-08-01", "split.test_until=2011-09-01",
    )  # fmt: skip


def test_the_gap_and_the_end_of_the_test_are_those_of_the_experiment():
    split = {"gap_days": 7, "test_until": "2011-11-01"}
    bare = replace(STUDY, cuts={})
    found = with_cuts(bare, (), lambda overrides: Mock(as_dict=lambda: {"split": split}))
    assert found.cuts == cuts_of(DAYS, 7, "2011-11-01")
    with pytest.raises(StudyError, match=r"set the cuts of each run, got split\.test_from=2011-09-01; take it out"):
        with_cuts(bare, ("split.test_from=2011-09-01",), Mock())
    domain = {"split": {}, "domain": {"flickr": {}}}
    with pytest.raises(StudyError, match="can have no further domain, because a domain keeps its own cuts"):
        with_cuts(bare, (), lambda overrides: Mock(as_dict=lambda: domain))
    assert with_cuts(replace(bare, origins=()), (), Mock()) == replace(bare, origins=())


def test_every_origin_has_its_cells_in_a_folder_of_its_own():
    cells = expand(STUDY, Path("runs"), ["split.test_until=2011-12-01"])
    assert [cell.label for cell in cells[:6]] == [
        *(f"baselines, origin {day}" for day in DAYS),
        "full seed 0, origin 2011-06-01", "no_season seed 0, origin 2011-06-01", "full seed 0, origin 2011-08-01",
    ]  # fmt: skip
    assert len(cells) == 3 + 2 * 2 * 3
    first, other = cells[0], cells[4]
    assert first.folder == Path("runs/origins/2011-06-01/baselines")
    assert first.arguments[-1] == "run_dir='runs/origins/2011-06-01'"
    assert other.folder == other.run_dir == Path("runs/origins/2011-06-01/cells/no_season/seed_0")
    assert set(STUDY.cuts["2011-06-01"]) < set(other.overrides)
    assert all("split.test_until=2011-12-01" not in cell.overrides for cell in cells)
    rows = [job.cells for job in plan(cells, "joblib", 2) if job.cells[0].kind == "train"]
    assert [len(row) for row in rows] == [2] * 6  # a multirun for each row at each origin, over its seeds
    assert all(len({(cell.origin, cell.row) for cell in row}) == 1 for row in rows)


def started_here(job: Job, command: object, keep_open: object) -> Running:
    """Runs a job in this process, so that a test need not import everything again."""
    code = main(list(job.arguments))
    return Running(job, Mock(poll=lambda: code, wait=lambda: code))


@pytest.mark.usefixtures("capsys")
def test_a_study_of_two_origins_from_its_file_to_its_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Running, "start", started_here)
    write_log(tmp_path)
    files = [f"data.events={tmp_path / 'E.csv'}", f"data.items={tmp_path / 'I.csv'}", f"cache_dir={tmp_path / 'cache'}"]
    own = [override for override in SMALL if override != "baselines=false"]
    (tmp_path / "study.yaml").write_text(
        f"name: small\nexperiment: {json.dumps(['data=table', *files, *own, 'protocol=frozen'])}\nquestion: '?'\n"
        "rows: [full]\nseeds: [0]\nbaselines: false\norigins: [2017-09-04, 2017-10-16]\n"
    )
    console = Console(file=io.StringIO(), width=200)
    run_dir = tmp_path / "runs"
    entry.run(tmp_path / "study.yaml", {"run_dir": str(run_dir)}, Options(console=console))
    assert "1 rows x 1 seeds x 2 origins = 2 runs" in console.file.getvalue()
    frames = [read_results(run_dir / "origins" / day / "cells/full/seed_0/results.parquet").frame for day in
              ("2017-09-04", "2017-10-16")]  # fmt: skip
    assert str(frames[0]["day"].min()) >= "2017-09-04"
    assert str(frames[0]["day"].max()) < "2017-10-16" <= str(frames[1]["day"].min())
    table = pl.read_csv(run_dir / "table.csv").filter(row="full", slice="all", metric="bits")
    targets = [frame["bits"].explode().drop_nans() for frame in frames]
    assert table["n"].item() == sum(map(len, targets))
    assert table["value"].item() == pytest.approx(pl.concat(targets).mean(), abs=1e-4)
    each = pl.read_csv(run_dir / "origins.csv").filter(slice="all", metric="bits")
    assert each["origin"].to_list() == ["2017-09-04", "2017-10-16"]
    assert each["value"].to_list() == pytest.approx([one.mean() for one in targets], abs=1e-4)
    assert "Rolling origins 2017-09-04, 2017-10-16: a model for each" in (run_dir / "table.md").read_text()
    monkeypatch.setattr(Running, "start", None)  # a second run starts nothing
    entry.run(tmp_path / "study.yaml", {"run_dir": str(run_dir)}, Options(console=console))
    assert "2 of 2 cells complete already" in console.file.getvalue()
