"""Hostile yaml, targets and folders: nothing is executed, and nothing hangs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from seasonrec.ablate.study import read_study
from seasonrec.cli.main import main
from seasonrec.config import Composer, ConfigError, ConfTree
from seasonrec.config.tree import read_yaml
from seasonrec.config.yaml_size import check_size
from seasonrec.runs.finished import read_config

LEVELS = "".join(
    f"{one}: &{one} [{', '.join([f'*{before}'] * 9)}]\n" for before, one in zip("abcdefgh", "bcdefghi", strict=True)
)
BOMB = f"a: &a [x, x]\n{LEVELS}"
MESSAGE = r"its anchors \(&name, \*name\) stand for more than 100,000 values"


@pytest.mark.parametrize(
    "text", [BOMB, "a: &a [*a]\n", "a: &a {b: *a}\n", BOMB.replace("[", "{x: [").replace("]", "]}")]
)
def test_nested_anchors_are_refused_wherever_yaml_is_read(tmp_path: Path, text: str) -> None:
    own = tmp_path / "own"
    (own / "season").mkdir(parents=True)
    (own / "season" / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=MESSAGE):
        ConfTree.of(own)
    path = tmp_path / "config.yaml"
    path.write_text(text)
    (tmp_path / "model.safetensors").touch()
    for read in (
        check_size,
        read_yaml,
        lambda path: read_study(path, ConfTree.of()),
        lambda path: read_config(tmp_path),
    ):
        with pytest.raises(ConfigError, match=MESSAGE):
            read(path)


def test_a_study_with_nested_anchors_ends_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "study.yaml").write_text(f"{BOMB}rows: *i\n")
    assert main(["ablate", str(tmp_path / "study.yaml"), f"run_dir={tmp_path / 'x'}"]) == 2
    assert "write the values out where they are meant" in capsys.readouterr().err


def test_anchors_that_stand_for_a_few_values_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: &a [1, 2]\nb: [*a, *a]\nc: '*a* is text'\n")
    assert read_yaml(tmp_path / "a.yaml")["b"] == [[1, 2], [1, 2]]


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("subprocess.Popen", "belongs to Python's standard library"),
        ("os.system", "belongs to Python's standard library"),
        ("torch.hub.load", "belongs to the package torch, which does not build on seasonrec"),
        ("joblib.load", "belongs to the package joblib"),
        ("torch.nn.Linear", "belongs to the package torch"),
        ("seasonrec.commands.train.run", "must name a class, not a function"),
        ("seasonrec.data.cache.shutil", "no class or function"),
    ],
)
def test_what_is_no_component_is_refused_before_it_is_imported(tmp_path: Path, target: str, problem: str) -> None:
    (tmp_path / "habit").mkdir()
    (tmp_path / "habit" / "mine.yaml").write_text(f"_target_: {target}\n")
    with pytest.raises(ConfigError, match=problem):
        Composer(ConfTree.of(tmp_path)).compose(["habit=mine"])


def test_nothing_in_the_working_folder_is_imported(tmp_path: Path) -> None:
    for name in ("hydra", "torch", "csv", "json", "yaml", "email", "omegaconf", "rich"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('imported {name} from the working folder')\n")
    (tmp_path / "hydra_plugins").mkdir()
    (tmp_path / "hydra_plugins" / "mine.py").write_text("raise SystemExit('imported a plugin')\n")
    command = [sys.executable, "-m", "seasonrec.cli", "train", "name=", "season=[nothing]"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "season" in done.stderr
    assert "imported" not in done.stderr


def test_started_processes_do_not_import_from_the_working_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    assert main(["--version"]) == 0
    code = "import sys; sys.exit('' in sys.path)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
