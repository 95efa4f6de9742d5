import json
import os
import subprocess
from pathlib import Path

import pytest

from seasonrec.ablate import shares
from seasonrec.ablate.cells import expand
from seasonrec.ablate.launch import COMMAND
from seasonrec.ablate.launchers import LAUNCHERS, plan
from seasonrec.ablate.shares import THREAD_VARIABLES, gpu_share, thread_share
from seasonrec.ablate.study import Study

ROWS = {"full": (), "no_season": ("season=[]",), "no_habit": ("habit=none",)}
STUDY = Study("small", "autumn", "?", tuple(ROWS), (0, 1), ("trainer.max_epochs=3",), changes=ROWS)


RECORDER = """
import json, os, pathlib, sys, time, types
def run(config):
    begin_s, folder = time.time(), pathlib.Path(config.run_dir)
    with (folder / "calls").open("a") as calls:
        calls.write("x")
    while len(list(folder.parent.glob("*/calls"))) < 2 and time.time() < begin_s + 60:
        time.sleep(0.01)  # the first job lasts until a second one has begun
    record = {"habit": config.habit["_target_"], "seed": config.seed, "process": os.getpid()}
    record |= {"span_s": [begin_s, time.time()], "calls": (folder / "calls").stat().st_size}
    (folder / "record.json").write_text(json.dumps(record))
sys.modules["seasonrec.commands.train"] = types.SimpleNamespace(run=run)
"""
"""A command ``train`` that writes down which cell it was given, instead of training it."""


@pytest.fixture
def eight_cores(monkeypatch):
    monkeypatch.setattr(shares, "cpu_count", lambda: 8)
    for name in THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_local_is_one_command_a_cell(eight_cores):
    cells = expand(STUDY, Path("runs"), [])
    jobs = plan(cells, "local", 1)
    assert [job.cells for job in jobs] == [(cell,) for cell in cells]
    assert list(jobs[1].arguments) == cells[1].arguments
    assert jobs[1].environment == {}  # alone it may have all cores
    assert plan(cells, "local", 2)[1].environment == dict.fromkeys(THREAD_VARIABLES, "4")
    assert plan(cells[:2], "local", 8)[1].environment == dict.fromkeys(THREAD_VARIABLES, "4")  # no more than there are


@pytest.mark.parametrize(("at_once", "threads"), [(1, "8"), (3, "2"), (8, "1"), (20, "1"), (None, "1")])
def test_cells_side_by_side_share_out_the_cores(eight_cores, at_once, threads):
    assert thread_share(at_once) == dict.fromkeys(THREAD_VARIABLES, threads)


def test_threads_that_the_user_has_set_stay(eight_cores, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert thread_share(4) == dict.fromkeys(THREAD_VARIABLES[1:], "2")


def test_cells_side_by_side_see_one_gpu_each(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert [gpu_share(slot, 1)["CUDA_VISIBLE_DEVICES"] for slot in range(3)] == ["3", "5", "3"]
    assert gpu_share(1, 2) == {}  # both of two
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,7")
    assert [gpu_share(slot, 2)["CUDA_VISIBLE_DEVICES"] for slot in range(3)] == ["0,1", "2,7", "0,1"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(shares.torch.cuda, "device_count", lambda: 2)
    assert [gpu_share(slot, 1)["CUDA_VISIBLE_DEVICES"] for slot in range(2)] == ["0", "1"]
    monkeypatch.setattr(shares.torch.cuda, "device_count", lambda: 1)
    assert gpu_share(0, 1) == {}


def test_joblib_is_one_multirun_per_row_over_the_seeds_that_it_misses(eight_cores):
    cells = [cell for cell in expand(STUDY, Path("runs"), []) if cell.label != "no_season seed 0"]
    baselines, full, both, one = plan(cells, "joblib", 2)
    assert baselines.arguments[0] == "baselines"
    assert [cell.label for cell in full.cells] == ["full seed 0", "full seed 1"]
    assert [cell.label for cell in one.cells] == ["no_season seed 1"]
    assert [cell.label for cell in both.cells] == ["no_habit seed 0", "no_habit seed 1"]
    assert set(both.arguments) == {
        "train", "--multirun", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweep.dir='runs/cells'",
        "hydra.sweep.subdir='${name}/seed_${seed}'", "experiment=autumn", "trainer.max_epochs=3", "habit=none",
        "name='no_habit'", "baselines=false", "group='small'", "seed=0,1",
    }  # fmt: skip
    assert both.environment == dict.fromkeys(THREAD_VARIABLES, "4")
    assert {"seed=1", "season=[]"} <= set(one.arguments)
    assert both.log != one.log


@pytest.mark.parametrize(
    ("launcher", "override"),
    [
        ("joblib", "hydra.launcher.n_jobs=8"),
        ("submitit_slurm", "hydra.launcher.array_parallelism=8"),
        ("ray", "+hydra.launcher.ray.init.num_cpus=8"),
    ],
)
def test_every_launcher_has_its_own_word_for_jobs_at_once(launcher, override):
    jobs = plan(expand(STUDY, Path("runs"), []), launcher, 8)
    assert f"hydra/launcher={launcher}" in jobs[1].arguments
    assert override in jobs[1].arguments


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_no_two_cells_share_a_folder(launcher):
    """Neither within a multirun nor between the rows and seeds of several."""
    cells = [cell for cell in expand(STUDY, Path("runs"), []) if cell.label != "no_season seed 0"]
    jobs = plan(cells, launcher, 1)
    assert sorted(cell.label for job in jobs for cell in job.cells) == sorted(cell.label for cell in cells)
    assert len({cell.folder for cell in cells}) == len(cells)
    for job in jobs:
        if "--multirun" in job.arguments:
            given = dict(a.split("=", 1) for a in job.arguments if a.startswith(("seed=", "name=")))
            row = given.get("name", "full").strip("'")
            made = {Path("runs/cells") / row / f"seed_{seed}" for seed in given["seed"].split(",")}
            assert made == {cell.folder for cell in job.cells}


def test_two_jobs_at_once_keep_to_their_folders(tmp_path):
    """Two processes of joblib run two jobs each: every folder receives the row and seed of its own job."""
    (tmp_path / "sitecustomize.py").write_text(RECORDER)  # every Python process imports it at its start
    rows = ("habit=replenishment,none", "seed=0,1")
    sweep = (f"hydra.sweep.dir='{tmp_path / 'cells'}'", "hydra.sweep.subdir='${habit._target_}_${seed}'")
    flags = ("--multirun", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", *sweep)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    subprocess.run([*COMMAND, "train", *flags, *rows], cwd=tmp_path, env=environment, check=True, capture_output=True)
    records = {path.parent.name: json.loads(path.read_text()) for path in tmp_path.glob("cells/*/record.json")}
    assert len(records) == 4
    for folder, record in records.items():
        assert f"{record['habit']}_{record['seed']}" == folder
        assert record["calls"] == 1
    assert len({record["process"] for record in records.values()}) == 2
    spans = [record["span_s"] for record in records.values()]
    assert any(one[0] < other[0] < one[1] for one in spans for other in spans), "two at once"


def test_a_module_beside_the_data_is_not_imported(tmp_path):
    (tmp_path / "hydra.py").write_text("raise SystemExit('imported from the working folder')\n")
    done = subprocess.run([*COMMAND, "--version"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()[0]) == (0, "seasonrec"), done.stderr
