from pathlib import Path

from seasonrec.ablate.cells import expand
from seasonrec.ablate.launchers import plan
from seasonrec.ablate.study import Study

STUDY = Study("small", "autumn", "?", ("full", "no_season", "no_habit"), (0, 1), overrides=("trainer.max_epochs=3",))


def test_local_is_one_command_a_cell():
    cells = expand(STUDY, Path("runs"), [])
    jobs = plan(cells, "local", 1)
    assert [job.cells for job in jobs] == [(cell,) for cell in cells]
    assert list(jobs[1].arguments) == cells[1].arguments


def test_joblib_is_one_multirun_over_rows_that_miss_the_same_seeds():
    cells = [cell for cell in expand(STUDY, Path("runs"), []) if cell.label != "no_season seed 0"]
    baselines, both, one = plan(cells, "joblib", 2)
    assert baselines.arguments[0] == "baselines"
    assert [cell.label for cell in both.cells] == ["full seed 0", "full seed 1", "no_habit seed 0", "no_habit seed 1"]
    assert [cell.label for cell in one.cells] == ["no_season seed 1"]
    assert set(both.arguments) == {
        "train", "--multirun", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweep.dir='runs/cells'",
        "hydra.sweep.subdir='${name}/seed_${seed}'", "experiment=autumn", "trainer.max_epochs=3", "baselines=false",
        "group='small'", "seed=0,1", "ablation=null,no_habit",
    }  # fmt: skip
    assert both.environment.get("OMP_NUM_THREADS", "1") == "1"
    assert {"seed=1", "ablation=no_season"} <= set(one.arguments)


def test_slurm_has_its_own_word_for_jobs_at_once():
    jobs = plan(expand(STUDY, Path("runs"), []), "submitit_slurm", 8)
    assert "hydra.launcher.array_parallelism=8" in jobs[1].arguments
