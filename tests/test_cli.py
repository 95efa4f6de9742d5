"""The console script, in processes of its own, with entry points that only say what they were given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from seasonrec.cli import main as cli
from seasonrec.cli.commands import COMMANDS, Command
from seasonrec.config import ConfTree
from seasonrec.config.tree import LIST_GROUPS

EVENTS = str(Path(__file__))
"""A file that exists; nothing here reads it."""
HEAVY = ("torch", "lightning", "transformers", "peft", "polars", "numpy", "scipy", "wandb", "matplotlib")
SCRIPT = f"""
import json, sys, types
def entry(*arguments):
    given = [argument.as_dict() if hasattr(argument, "as_dict") else argument for argument in arguments]
    heavy = [name for name in {HEAVY!r} if name in sys.modules]
    print("CALLED " + json.dumps({{"given": given, "heavy": heavy}}, default=str), flush=True)
    return 0.5
for name in ("commands.prepare", "commands.train", "commands.evaluate", "commands.recommend", "ablate"):
    module = types.ModuleType("seasonrec." + name)
    module.run = module.report = module.run_baselines = entry
    sys.modules[module.__name__] = module
from seasonrec.cli.main import main
code = main()
print("HEAVY " + json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
sys.exit(code)
"""


def _run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HYDRA_FULL_ERROR": "0", **variables}
    command = [sys.executable, "-c", SCRIPT, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def _calls(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    lines = [line for line in done.stdout.splitlines() if line.startswith("CALLED ")]
    assert lines, done.stderr
    return [json.loads(line.removeprefix("CALLED ")) for line in lines]


def test_nothing_heavy_is_imported_before_the_configuration_is_accepted(tmp_path: Path) -> None:
    done = _run(tmp_path, "train", "data=table", f"data.events={EVENTS}", "run_dir=out", "split.test_from=2017-11-06")
    (call,) = _calls(done)
    assert call["heavy"] == []
    (config,) = call["given"]
    assert config["run_dir"] == "out"
    assert config["data"]["events"] == EVENTS
    assert config["split"]["test_from"] == "2017-11-06"
    assert config["backbone"]["num_layers"] == 2, "signature defaults are in it"


def test_a_plain_command_is_composed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Hydra runs the jobs, it composes twice more, to look for its mode and to run."""
    composed, ran = [], []
    load = ConfigLoaderImpl.load_configuration
    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", lambda *a, **k: composed.append(a) or load(*a, **k))
    monkeypatch.setattr(Command, "run", lambda self, config: ran.append((config, HydraConfig.get().mode)))
    monkeypatch.chdir(tmp_path)
    for flags in ([], ["--run"]):
        assert cli.main(["train", "data=synthetic", "seed=3", *flags]) == 0
        assert len(composed) == (3 if flags else 1)
        composed.clear()
    assert ran[0] == ran[1]
    assert ran[0][1] == RunMode.RUN


def test_mistakes_end_the_command_without_a_traceback(tmp_path: Path) -> None:
    done = _run(tmp_path, "train", "seasn=none", "trainer.max_epochs=many", "+x=1")
    assert done.returncode == 2
    assert done.stderr.startswith("seasonrec train: 3 mistakes in the configuration, nothing was run:\n")
    assert "Traceback" not in done.stderr
    assert "HEAVY []" in done.stdout
    assert list(tmp_path.iterdir()) == [], "a refused run leaves nothing behind"


def test_multirun_gives_every_job_its_folder(tmp_path: Path) -> None:
    calls = _calls(_run(tmp_path, "train", "--multirun", "seed=0,1", "run_dir=out"))
    configs = [call["given"][0] for call in calls]
    assert [(config["seed"], config["run_dir"]) for config in configs] == [
        (0, str(tmp_path / "out" / "0")),
        (1, str(tmp_path / "out" / "1")),
    ]


def test_multirun_keeps_folders_that_differ_by_themselves(tmp_path: Path) -> None:
    swept = ("ablation=null,no_text", "seed=0,1", "run_dir='out/${name}/${seed}'", "hydra.sweep.dir=log")
    calls = _calls(_run(tmp_path, "train", "-m", *swept))
    folders = [call["given"][0]["run_dir"] for call in calls]
    assert folders == ["out/full/0", "out/full/1", "out/no_text/0", "out/no_text/1"]


def test_hydra_flags_work_unchanged(tmp_path: Path) -> None:
    done = _run(tmp_path, "train", "seed=7", "season=[text]", "--cfg", "job")
    assert done.returncode == 0, done.stderr
    assert "CALLED" not in done.stdout
    assert "seed: 7" in done.stdout
    assert "_target_: seasonrec.models.season.text.TextSeason" in done.stdout
    refused = _run(tmp_path, "train", "--config-name", "other")
    assert "--config-name: would bypass the checked configuration" in refused.stderr


def test_a_message_of_our_own_reaches_the_user_without_a_traceback(tmp_path: Path) -> None:
    script = SCRIPT.replace("from seasonrec.cli.main import main", "\n".join((
        "def entry(config):",
        "    from seasonrec.config import ConfigError, Mistake",
        "    raise ConfigError([Mistake('data', 'the file is empty', 'bring events')])",
        "sys.modules['seasonrec.commands.train'].run = entry",
        "from seasonrec.cli.main import main",
    )))  # fmt: skip
    command = [sys.executable, "-c", script, "train", "run_dir=out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "data: the file is empty; bring events" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_names_groups_options_and_keys(tmp_path: Path) -> None:
    done = _run(tmp_path, "train", "--help")
    tree = ConfTree.of()
    lines = done.stdout.splitlines()
    others = ("  adaptation", "  forecaster", "  series")
    assert not any(line.startswith(others) for line in lines), "groups of other commands"
    for group in tree.groups_of(COMMANDS["train"].composer().keys()):
        several = f" (a list: {group}=[A,B], or {group}=[])" if group in LIST_GROUPS else ""
        assert f"  {group}{several}" in lines
        for option in tree.options(group):
            assert any(line.split()[:1] == [option] or line.split()[:2] == ["*", option] for line in lines)
    assert any(
        line.split() == ["seed", "0", "(int", "at", "least", "0", "and", "at", "most", "4294967295)"] for line in lines
    )
    assert not any(line.split()[:2] == ["task", "null"] for line in lines), "a group is no key"
    assert any(line.split()[:2] == ["run_dir", "runs/${name}"] for line in lines)
    assert any(line.startswith("  * replenishment ") for line in lines), "the default option is marked"
    assert any(line.split()[:2] == ["backbone.num_layers", "2"] for line in lines)
    assert "HEAVY []" in done.stdout


def test_help_shows_the_keys_of_the_chosen_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "data=table", "task=[purchase]", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "\nKeys of data=table:\n  data.events " in shown
    assert "\nKeys of task=purchase:\n  task.purchase." in shown
    assert "data=complete_journey" not in shown


def test_help_of_adapt_shows_its_own_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["adapt", "adaptation=replay", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "\n  adaptation\n" in shown
    assert "\n  * static " in shown
    assert "adaptation.per_season" in shown
    assert "backbone" not in shown


def test_help_of_prepare_shows_what_it_reads(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["prepare", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "\n  data\n" in shown
    assert "\n  cache_dir " in shown
    assert "season=" not in shown
    assert "backbone" not in shown
    assert "\n  seed " not in shown


def test_help_whose_reader_has_ended_gives_no_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "seasonrec.cli", "train", "--help"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 141


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"seasonrec {version('seasonrec')}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--seed=3"], "--seed=3: a key is written without dashes; write seed=3"),
        (["train", "run_dir=/dev/null/x"], "run_dir = '/dev/null/x': /dev/null is a file; give a path below a folder"),
        (
            ["train", "season=calendar,text"],
            "season = calendar,text: several values need --multirun; write season=[calendar,text]",
        ),
        (["train", "--fast"], "--fast: no such flag; take it out; keys are written key=value, without dashes"),
        (
            ["train", "--cfg"],
            "--cfg/-c: expected one argument; correct it; seasonrec train --hydra-help lists the flags",
        ),
        (["train", "--info", "all", "seed=1", "-m"], "--multirun and --info: exclude each other; keep one of them"),
        (["report", "out", "--reference=a"], "--reference=a: a key is written without dashes; write reference=a"),
        (["train", "hydra.run.dir=out"], "hydra.run.dir = out: does not move the results; write run_dir=out"),
        (["evaluate", "hydra.run.dir=out"], "hydra.run.dir = out: does not move the results; take it out"),
        (["train", "-m", "season=glob(x*)"], "season = glob(x*): a glob that matches no option; valid names: "),
        (["train", "-m", "seed=glob(*)"], "seed = glob(*): a glob that matches no option; write seed=VALUE,VALUE"),
        (["train", "-m", "season=interval(0,1)"], "season = interval(0,1): takes options, not an interval; valid "),
    ],
)
def test_a_mistake_ends_in_one_sentence(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    assert f"\n  {message}" in capsys.readouterr().err


def test_a_right_override_beside_a_wrong_flag_is_not_blamed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "data=synthetic", "--seed=3", "name=x"]) == 2
    assert "1 mistake in the configuration" in capsys.readouterr().err


def test_hydra_is_given_the_value_of_each_job(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "shown.py").write_text(
        "from hydra.experimental.callback import Callback\n"
        "class Shown(Callback):\n"
        "    def on_job_end(self, config, job_return, **kwargs):\n"
        "        print('VALUE', job_return.return_value)\n"
    )
    given = ("train", "-m", "seed=0,1", "run_dir=out", "+hydra.callbacks.shown._target_=shown.Shown")
    done = _run(tmp_path, *given, PYTHONPATH=str(tmp_path / "own"))
    assert done.stdout.count("VALUE 0.5") == 2, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"seasonrec {name}: ")


def test_overview_and_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    overview = capsys.readouterr().out
    assert all(f"  {name} " in overview for name in COMMANDS)
    assert cli.main(["trian"]) == 2
    assert capsys.readouterr().err == "seasonrec: unknown command 'trian'; did you mean 'train'?\n"


def test_recommend(tmp_path: Path) -> None:
    done = _run(tmp_path, "recommend", "checkpoint=DIR", "users=all", "date=2017-12-20", "output=FILE.csv")
    (call,) = _calls(done)
    expected = {"checkpoint": "DIR", "users": "all", "date": "2017-12-20", "output": "FILE.csv", "top_k": 10}
    assert call == {"given": [{**expected, "events": None, "exclude_own": False, "allow": []}], "heavy": []}
    refused = _run(tmp_path, "recommend", "checkpont=DIR", "users=7.5", "top_k=ten")
    assert refused.returncode == 2
    for mistake in (
        "checkpont = DIR: unknown key, neither a value nor a group; did you mean 'checkpoint'?",
        "checkpoint: missing, seasonrec.config.schema.RecommendConfig needs it; write checkpoint=... (str)",
        "users = 7.5: must be str or int or tuple[str or int, ...], got float; put it in quotes",
        "top_k = 'ten': must be int, got str; try top_k=10",
        "date: missing",
        "output: missing",
    ):
        assert mistake in refused.stderr


def test_prepare_leaves_no_run_folder(tmp_path: Path) -> None:
    (call,) = _calls(_run(tmp_path, "prepare", "data=synthetic"))
    assert call["given"][0]["data"]["_target_"].endswith("Synthetic")
    assert list(tmp_path.iterdir()) == []


def test_ablate_splits_its_own_options_from_those_of_the_runs(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text("experiment: first_season\nrows: [full, no_season]\noverrides: [trainer.max_epochs=3]\n")
    given = ("run_dir=out", "hydra/launcher=joblib", "jobs=2", "trainer.max_epochs=1")
    (call,) = _calls(_run(tmp_path, "ablate", "study.yaml", *given))
    options = {"run_dir": "out", "launcher": "joblib", "jobs": 2, "stale": "refuse"}
    assert call == {"given": ["study.yaml", {**options, "overrides": ["trainer.max_epochs=1"]}], "heavy": []}


def test_ablate_takes_rows_and_experiments_of_a_folder_of_ones_own(tmp_path: Path) -> None:
    for group, text in {"experiment": "group: ours\n", "ablation": "name: weekly\nmax_seq_len: 20\n"}.items():
        (tmp_path / "own" / group).mkdir(parents=True)
        file = tmp_path / "own" / group / f"{'shop' if group == 'experiment' else 'weekly'}.yaml"
        file.write_text("# @package _global_\n# Ours.\n" + text)
    (tmp_path / "study.yaml").write_text("experiment: shop\nrows: [full, weekly, no_season]\n")
    (call,) = _calls(_run(tmp_path, "ablate", "study.yaml", "run_dir=out", "--config-dir", "own"))
    assert call["given"][1]["config_dir"] == str((tmp_path / "own").resolve())
    without = _run(tmp_path, "ablate", "study.yaml", "run_dir=out")
    assert "experiment = shop: unknown option" in without.stderr
    assert "rows[1] = 'weekly': no such row" in without.stderr
    lost = _run(tmp_path, "ablate", "study.yaml", "run_dir=out", "--config-dir=nowhere")
    assert lost.returncode == 2
    assert "--config-dir = nowhere: no such folder" in lost.stderr
    assert "--config-dir" in _run(tmp_path, "ablate", "study.yaml", "run_dir=out", "--config-dir").stderr


def test_ablate_checks_every_row_before_the_first(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text("experiment: first_season\nrows: [full, no_habit, no_seasn]\n")
    done = _run(tmp_path, "ablate", "study.yaml", "run_dir=out", "habit.hidden_dim=8", "jobs=two", "stale=keep")
    assert done.returncode == 2
    for mistake in (
        "rows[2] = 'no_seasn': no such row: a name must say its change, as no_season or temporal=gru; did you",
        "habit.hidden_dim = 8: a leftover, habit=none does not take it",
        "jobs = 'two': must be int, got str",
        "stale = 'keep': must be one of 'refuse', 'rerun', got str",
    ):
        assert mistake in done.stderr


def test_ablate_refuses_keys_that_the_study_sets(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("experiment: first_season\nrows: [full]\n")
    done = _run(tmp_path, "ablate", "study.yaml", "run_dir=out", "seed=7", "group=mine", "name=mine")
    assert done.returncode == 2
    assert "3 mistakes" in done.stderr
    for mistake in (
        "seed = 7: a study sets it for each of its runs; change seeds in the study's file",
        "group = mine: a study sets it for each of its runs; take it out",
        "name = mine: a study sets it for each of its runs; take it out",
    ):
        assert mistake in done.stderr


def test_report_takes_a_path(tmp_path: Path) -> None:
    (call,) = _calls(_run(tmp_path, "report", "some dir/it's, here"))
    assert call == {"given": ["some dir/it's, here", None, None], "heavy": []}
    (call,) = _calls(_run(tmp_path, "report", "runs", "reference=no_season"))
    assert call["given"][:2] == ["runs", "no_season"]
    missing = _run(tmp_path, "report")
    assert "RUN_DIR: missing; write seasonrec report RUN_DIR" in missing.stderr
    flagged = _run(tmp_path, "report", "out", "--multirun")
    assert "--multirun: seasonrec report takes no flags; take it out" in flagged.stderr


def test_an_interrupt_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(command: object, arguments: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(cli._DISPATCH, "ablate", stop)
    assert cli.main(["ablate", "study.yaml"]) == 130
    assert capsys.readouterr().err == "seasonrec ablate: stopped\n"
