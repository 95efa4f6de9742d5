import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
from rich.console import Console

from seasonrec.ablate import entry
from seasonrec.ablate.cells import expand
from seasonrec.ablate.launch import Failure, Job, Running, run_jobs
from seasonrec.ablate.launchers import plan
from seasonrec.ablate.progress import StudyProgress
from seasonrec.ablate.runner import Options, run_cells
from seasonrec.ablate.study import Study, StudyError
from seasonrec.config import ConfigError, Mistake
from seasonrec.report.errors import ReportError

STUB = Path(__file__).with_name("stub_cell.py")
CHANGES = {"no_season": ("season=[]",), "no_habit": ("habit=none",)}
STUDY = Study("small", "autumn", "?", ("full", "no_season", "no_habit"), (0, 1), changes=CHANGES)


def compose(overrides: list[str]) -> Mock:
    given = dict(override.split("=", 1) for override in overrides)
    trainer = {"max_epochs": given.get("trainer.max_epochs", 1), "devices": int(given.get("trainer.devices", 1))}
    protocol = {"holidays": ["Thanksgiving", "Christmas"]}
    config = {"name": given.get("name", "full").strip("'"), "trainer": trainer, "data": {}, "protocol": protocol}
    season = {} if given.get("season") == "[]" else {"momentum": {}}
    return Mock(as_dict=lambda: config | {"season": season})


def run(run_dir: Path, *stub: str, study: Study = STUDY, overrides: tuple[str, ...] = (), **options):
    console = Console(file=io.StringIO(), width=200)
    settings = {"command": (sys.executable, str(STUB), *stub), "compose": compose, "console": console, **options}
    failures = run_cells(study, run_dir, overrides, Options(**settings))
    return failures, console.file.getvalue()


@pytest.fixture
def started(monkeypatch) -> list[Running]:
    """The jobs that were started, first come first."""
    jobs, start = [], Running.start

    def watched(*given):
        jobs.append(start(*given))
        return jobs[-1]

    monkeypatch.setattr(Running, "start", watched)
    return jobs


def calls(run_dir: Path) -> dict[str, int]:
    return {str(path.parent.relative_to(run_dir)): len(path.read_text()) for path in run_dir.rglob("calls")}


def test_every_cell_runs_once_and_a_second_run_does_nothing(tmp_path):
    failures, shown = run(tmp_path)
    assert failures == []
    assert "cell 1 of 7, baselines" in shown
    assert "cell 7 of 7, no_habit seed 1: done" in shown
    assert "nothing left" in shown
    before = calls(tmp_path)
    assert set(before.values()) == {1}
    assert len(before) == 8  # six models and two baselines
    _, shown = run(tmp_path)
    assert calls(tmp_path) == before
    assert "7 of 7 cells complete already" in shown


def test_cells_of_other_seeds_are_run_once_and_resumed_as_any_other(tmp_path):
    study = replace(STUDY, rows=("full",), seeds=(0,), aa=True)
    failures, shown = run(tmp_path, "--fail", "aa:1", study=study)
    assert [failure.cell.label for failure in failures] == ["aa seed 1"]
    assert "cell 2 of 3, full seed 0: done" in shown
    _, shown = run(tmp_path, study=study)
    assert "2 of 3 cells complete already" in shown
    assert calls(tmp_path)["cells/aa/seed_1"] == calls(tmp_path)["cells/full/seed_0"] == 1


def test_every_command_is_given_the_flags_of_the_study(tmp_path):
    own_conf = tmp_path / "own"
    for group, name, text in (("experiment", "shop", "group: ours\n"), ("ablation", "weekly", "name: weekly\n")):
        (own_conf / group).mkdir(parents=True)
        (own_conf / group / f"{name}.yaml").write_text(f"# @package _global_\n# Ours.\n{text}max_seq_len: 20\n")
    study = tmp_path / "study.yaml"
    study.write_text("name: small\nexperiment: shop\nquestion: '?'\nrows: [full, weekly]\nseeds: [0]\n")
    options = Options(command=(sys.executable, str(STUB)), console=Console(file=io.StringIO()))
    settings = {"run_dir": str(tmp_path / "out"), "config_dir": str(own_conf)}
    with pytest.raises(ReportError, match="no results at"):  # the stub writes none
        entry.run(study, settings, options)
    logs = [path.read_text().splitlines()[0] for path in sorted(tmp_path.glob("out/**/*.txt"))]
    assert len(logs) == 3
    assert all(first.endswith(f" --config-dir {own_conf}") for first in logs)
    assert json.loads((tmp_path / "out" / "study.json").read_text())["command"].endswith(f"--config-dir {own_conf}")


def test_values_out_of_range_are_told_before_the_first_cell(tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text("name: small\nexperiment: first_season\nquestion: '?'\nrows: [full, no_season]\nseeds: [0]\n")
    overrides = ["protocol.season_ratio=0.5", "optimizer.learning_rate=-1.0", "data.households=1"]
    with pytest.raises(ConfigError) as refused:
        entry.run(study, {"run_dir": str(tmp_path / "out"), "overrides": overrides})
    lines = str(refused.value).splitlines()
    assert lines[0] == "3 mistakes in the configuration, nothing was run:"
    keys = ("households", "season_ratio", "learning_rate")
    assert tuple(next(key for key in keys if key in line) for line in lines[1:]) == keys
    assert not (tmp_path / "out").exists()


def test_metrics_that_the_runs_will_not_have_are_told_before_the_first_cell(tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text(
        "name: small\nexperiment: first_season\nquestion: '?'\nrows: [full]\nseeds: [0]\n"
        "metrics: [ndcg@10, hr@7]\nfirst_metrics: [bits_within@without_xmas, ndcg@5@new, bits_group@own]\n"
    )
    with pytest.raises(StudyError) as refused:
        entry.run(study, {"run_dir": str(tmp_path / "out"), "overrides": ["protocol.words={santa: [santa]}"]})
    assert str(refused.value).splitlines() == [
        "nothing was run:",
        "  metrics[1] = hr@7: protocol.top_ks=[1, 5, 10, 20, 50] has no 7; write one of these, or add it to "
        "protocol.top_ks",
        "  first_metrics[0] = bits_within@without_xmas: protocol.words has no list 'xmas'; add it, or take this out",
    ]


def test_slices_that_do_not_exist_are_told_before_the_first_cell(tmp_path):
    study = tmp_path / "study.yaml"
    text = "name: small\nexperiment: first_season\nquestion: '?'\nrows: [full]\nseeds: [0]\n"
    study.write_text(f"{text}slices: [all, in_seson, easter]\neffect_slices: [christmass, month_12, after_christmas]\n")
    with pytest.raises(StudyError) as refused:
        entry.run(study, {"run_dir": str(tmp_path / "out")})
    assert str(refused.value).splitlines() == [
        "nothing was run:",
        "  slices[1] = 'in_seson': no such slice; did you mean 'in_season'?",
        "  effect_slices[0] = 'christmass': no such slice; did you mean 'christmas'?",
    ]
    study.write_text(f"{text}slices: [all, christmas]\n")
    with pytest.raises(
        StudyError, match=r"slices\[1\] = 'christmas': no such slice; .*\n  data.country and data.calendar are null, so"
    ):
        entry.run(study, {"run_dir": str(tmp_path / "out"), "overrides": ["data=table", "data.events=E.csv"]})
    assert not (tmp_path / "out").exists()


def test_only_what_is_missing_runs(tmp_path):
    run(tmp_path)
    (tmp_path / "cells/no_season/seed_1/metrics.json").unlink()
    run(tmp_path)
    again = [cell for cell, times in calls(tmp_path).items() if times == 2]
    assert again == ["cells/no_season/seed_1"]


def test_a_failed_cell_is_survived_and_told_with_its_last_lines(tmp_path):
    failures, shown = run(tmp_path, "--fail", "no_season:0")
    assert [failure.cell.label for failure in failures] == ["no_season seed 0"]
    assert failures[0].reason == "exit code 3"
    assert "the loss is not finite" in str(failures[0])
    assert "\x1b" not in str(failures[0])
    assert "epoch 2 of no_season" in str(failures[0])
    assert "epoch 1 of" not in str(failures[0])  # it was drawn over
    assert "no_season seed 0: 1 cell failed (exit code 3)" in shown
    assert (tmp_path / "cells/no_habit/seed_1/metrics.json").is_file()
    log = (tmp_path / "cells/no_season/seed_0/log.txt").read_text()
    assert log.startswith("$ seasonrec train experiment=autumn season=[]")
    failures, _ = run(tmp_path)
    assert failures == []


def test_cells_of_another_configuration_are_refused_by_name(tmp_path):
    run(tmp_path)
    with pytest.raises(StudyError) as caught:
        run(tmp_path, overrides=("trainer.max_epochs=9",))
    told = str(caught.value)
    assert "6 cells were run with another configuration" in told
    assert "cells/full/seed_0: trainer.max_epochs: 1 -> '9'" in told
    assert "stale=rerun" in told
    before = calls(tmp_path)
    run(tmp_path, overrides=("trainer.max_epochs=9",), stale="rerun")
    assert calls(tmp_path) == before  # deleted, then run once
    assert run(tmp_path, overrides=("trainer.max_epochs=9",))[0] == []


def test_jobs_run_side_by_side_and_no_more_of_them_than_asked_for(tmp_path):
    failures, shown = run(tmp_path, "--sleep", "0.4", jobs=3)
    assert failures == []
    assert set(calls(tmp_path).values()) == {1}
    spans = [tuple(map(float, path.read_text().split())) for path in tmp_path.rglob("cells/**/span")]
    at_once = [sum(begin <= moment < end for begin, end in spans) for moment, _ in spans]
    assert 2 <= max(at_once) <= 3
    heads = [line for line in shown.splitlines() if line.endswith(" ...")]
    assert [head.split(",")[0] for head in heads] == [f"cell {number} of 7" for number in range(1, 8)]
    assert "nothing left" in shown


def test_a_failure_among_jobs_side_by_side_stops_none_of_them(tmp_path):
    failures, _ = run(tmp_path, "--fail", "no_season:0", jobs=2)
    assert [failure.cell.label for failure in failures] == ["no_season seed 0"]
    assert len(calls(tmp_path)) == 7


def test_trials_of_a_run_wait_for_it(tmp_path):
    study = replace(STUDY, robustness=("full", "no_habit"))
    failures, _ = run(tmp_path, "--sleep", "0.2", study=study, jobs=2)  # trials of a run without results would fail
    assert failures == []
    trials = {path.parent.relative_to(tmp_path / "cells").as_posix() for path in tmp_path.rglob("robustness.csv")}
    assert trials == {"full/seed_0", "full/seed_1", "no_habit/seed_0", "no_habit/seed_1"}


def test_trials_of_a_failed_run_are_not_started(tmp_path):
    failures, shown = run(tmp_path, "--fail", "full:0", study=replace(STUDY, robustness=("full",), baselines=False))
    assert [(one.cell.label, one.reason) for one in failures] == [
        ("full seed 0", "exit code 3"),
        ("full seed 0, robustness", "not started, because its run failed"),
    ]
    assert not (tmp_path / "cells/full/seed_0/robustness.txt").exists()
    assert "nothing left" in shown


def test_a_failed_trial_does_not_stop_another_one_of_its_run(tmp_path):
    study = replace(STUDY, robustness=("full",), wrong_dates=(28,), baselines=False, seeds=(0,))
    failures, _ = run(tmp_path, "--fail", "robustness", study=study)
    assert [one.cell.label for one in failures] == ["full seed 0, robustness"]
    assert (tmp_path / "cells/full/seed_0/counterfactual.csv").is_file()


def test_a_reference_without_season_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(StudyError, match=r"the reference no_season has season=\[\] and demand=none and reads"):
        run(tmp_path, study=replace(STUDY, wrong_dates=(28,), reference="no_season"))
    assert calls(tmp_path) == {}


def test_other_wrong_dates_are_asked_without_training_again(tmp_path):
    for wrong_dates in ((28,), (28, 91)):
        assert run(tmp_path, study=replace(STUDY, wrong_dates=wrong_dates))[0] == []
    assert set(calls(tmp_path).values()) == {1}
    assert (tmp_path / "cells/full/seed_0/counterfactual.csv").read_text().split() == ["days", "0", "28", "91"]


def test_trials_are_made_anew_with_their_run(tmp_path):
    study = replace(STUDY, robustness=("full",))
    run(tmp_path, study=study)
    (tmp_path / "cells/full/seed_1/metrics.json").unlink()
    (tmp_path / "cells/full/seed_1/robustness.csv").write_text("of the run before")
    run(tmp_path, study=study)
    assert (tmp_path / "cells/full/seed_1/robustness.csv").read_text() == "full"
    assert (tmp_path / "cells/full/seed_0/robustness.txt").read_text().count("$ seasonrec") == 1


def test_what_waits_for_a_folder_lets_others_go_first():
    cells = expand(replace(STUDY, robustness=("full",), baselines=False), Path("runs"), [])
    long, told = cells[0], []

    class Scripted:
        """Runs to its end at once, but for the first cell, which outlasts all that does not wait for it."""

        def __init__(self, job: Job, slot: int) -> None:
            self.job = job

        @property
        def ended(self) -> bool:
            return self.job.cells != (long,) or len(told) == len(cells) - 1

        def failures(self) -> list[Failure]:
            return []

    watcher = Mock()
    watcher.begin.side_effect = lambda job: told.append(job.cells[0].label)
    run_jobs(plan(cells, "local", 2), 2, Scripted, watcher)
    assert told == [cell.label for cell in cells if cell.label != "full seed 0, robustness"] + [
        "full seed 0, robustness"
    ]


def test_cells_side_by_side_take_turns_on_the_gpus_unless_they_ask_for_several(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    for overrides, jobs, seen in (((), 2, {"3", "5"}), ((), 1, {"3,5"}), (("trainer.devices=2",), 2, {"3,5"})):
        folder = tmp_path / "_".join((*overrides, str(jobs)))
        run(folder, "--sleep", "0.2", overrides=overrides, jobs=jobs)
        logs = [path.read_text() for path in folder.rglob("log.txt")]
        assert {re.search(r"GPU (\S+)", log)[1] for log in logs} == seen


def test_an_interrupt_reaches_what_a_job_has_started(tmp_path, monkeypatch):
    """Workers of a launcher, for one: else they would train on while the study's folder is free."""
    worker = "import pathlib, sys, time; time.sleep(4); pathlib.Path(sys.argv[1]).touch()"
    parent = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {worker!r}, {str(tmp_path / 'trained')!r}])"
    )
    command = (sys.executable, "-c", parent)
    polls = []

    def interrupt(self) -> None:
        polls.append(1)
        if len(polls) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(StudyProgress, "poll", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "study", command=command)
    time.sleep(5)
    assert not (tmp_path / "trained").exists()


def test_an_interrupt_stops_every_job(started, tmp_path, monkeypatch):
    def interrupt(self) -> None:
        if len(started) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(StudyProgress, "poll", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "--sleep", "60", jobs=2)
    assert [one.process.returncode for one in started] == [-signal.SIGTERM] * 2


def test_sigterm_stops_every_job_too(started, tmp_path, monkeypatch):
    monkeypatch.setattr(StudyProgress, "poll", lambda self: os.kill(os.getpid(), signal.SIGTERM))
    study = tmp_path / "study.yaml"
    study.write_text("name: small\nexperiment: first_season\nquestion: '?'\nrows: [full]\nseeds: [0]\n")
    console = Console(file=io.StringIO(), width=200)
    options = Options(command=(sys.executable, str(STUB), "--sleep", "60"), compose=compose, console=console)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        entry.run(study, {"run_dir": str(tmp_path / "out")}, options)
    assert ended.value.code == 128 + signal.SIGTERM
    assert "Run the same command again to go on." in console.file.getvalue()
    assert [one.process.returncode for one in started] == [-signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) == before


def test_mistakes_of_all_rows_are_told_before_anything_runs(tmp_path):
    def refuse(overrides: list[str]) -> dict[str, object]:
        row = compose(overrides).as_dict()["name"]
        raise ConfigError([Mistake(f"slot_of_{row}", "unknown", "look again")])

    with pytest.raises(ConfigError) as caught:
        run(tmp_path, compose=refuse)
    assert all(f"slot_of_{row}" in str(caught.value) for row in STUDY.rows)
    assert not list(tmp_path.rglob("log.txt"))


def test_a_row_must_call_itself_by_its_name(tmp_path):
    with pytest.raises(ConfigError, match="take name out of its file or its overrides"):
        run(tmp_path, compose=lambda overrides: Mock(as_dict=lambda: {"name": "full"}))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"launcher": "dask"}, "launcher must be one of local, joblib"),
        ({"jobs": 0}, "jobs, the number of cells at once, must be above 0, got 0"),
        ({"stale": "keep"}, "stale must be refuse or rerun, got 'keep'"),
    ],
)
def test_wrong_options_are_refused(tmp_path, options, told):
    with pytest.raises(StudyError, match=told):
        run(tmp_path, **options)


def test_a_launcher_that_is_not_installed_is_told_with_its_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr("seasonrec.ablate.launchers.find_spec", lambda name: None)
    with pytest.raises(StudyError, match=r"launcher=ray is not installed; run pip install \"\.\[ray\]\""):
        run(tmp_path, launcher="ray")
    assert not list(tmp_path.iterdir())


def test_cells_of_other_code_are_told_of(tmp_path, monkeypatch):
    run(tmp_path)
    for seed, commit in ((0, "1111111"), (1, "2222222")):
        (tmp_path / f"cells/full/seed_{seed}/record.json").write_text(json.dumps({"commit": commit}))
    monkeypatch.setattr("seasonrec.ablate.runner.code_commit", lambda: "2222222")
    _, shown = run(tmp_path)
    assert "note: complete cells were run by other code than today's 2222222 (1 by 1111111); they are kept" in shown
    (tmp_path / "cells/full/seed_0/record.json").unlink()
    assert "other code" not in run(tmp_path)[1]


def test_a_folder_holds_one_study(tmp_path):
    study = tmp_path / "study.yaml"
    content = "question: '?'\nexperiment: first_season\nrows: [full]\nseeds: [0]\n"
    study.write_text(f"name: mine\n{content}")
    (tmp_path / "out").mkdir()
    kept = json.dumps({"command": "", "overrides": [], "study": {"name": "another"}})
    (tmp_path / "out/study.json").write_text(kept)
    with pytest.raises(StudyError, match="holds the study 'another', and this is 'mine'; give another run_dir"):
        entry.run(study, {"run_dir": str(tmp_path / "out")})
    assert (tmp_path / "out/study.json").read_text() == kept


def test_a_killed_study_goes_on_and_waits_for_the_cell_it_left_behind(tmp_path):
    small = Study("small", "autumn", "?", ("full",), (0,), baselines=False)
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_runner as t; from pathlib import Path\n"
        "study = t.Study('small', 'autumn', '?', ('full',), (0,), baselines=False)\n"
        "t.run(Path(sys.argv[2]), '--sleep', '2', study=study)"
    )
    killed = subprocess.Popen([sys.executable, "-c", script, str(STUB.parent), str(tmp_path)])
    deadline = time.monotonic() + 30
    while not list(tmp_path.rglob("log.txt")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    failures, shown = run(tmp_path, study=small)
    assert failures == []
    assert "waiting for it to end" in shown.replace("\n", " ")
    assert calls(tmp_path) == {"cells/full/seed_0": 1}  # the orphan's work was kept, not done twice
