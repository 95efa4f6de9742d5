"""The project as a whole: what its papers promise exists, and its studies compose."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from seasonrec.ablate.study import read_study
from seasonrec.cli.commands import COMMANDS
from seasonrec.config import ConfTree, compose

ROOT = Path(__file__).resolve().parents[1]
PAPERS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *ROOT.glob("experiments/*/README.md")]
STUDIES = sorted(ROOT.glob("experiments/*/*.yaml"))
INVENTED = ("NAME", "_mine", "lstm", "calendar_only")
"""Parts of names that a paper makes up where it tells how to add something."""


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _commands(path: Path) -> list[str]:
    """The lines of the shell blocks, continued lines joined, comments left out; and commands within a sentence."""
    text = path.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:bash|sh)\n(.*?)^```", text, re.M | re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    inline = re.findall(r"`((?:make|seasonrec) [^`]+)`", text)
    return [line for line in [*lines, *inline] if line.strip() and not line.lstrip().startswith("#")]


ALL_COMMANDS = [(path, command) for path in PAPERS for command in _commands(path)]


@pytest.mark.parametrize("path", PAPERS, ids=_name)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8"))
    lost = [link for link in links if not link.startswith("http") and not (path.parent / link).exists()]
    assert lost == []


@pytest.mark.parametrize("path", PAPERS, ids=_name)
def test_named_files_exist(path: Path) -> None:
    roots = "src|conf|tests|experiments|notebooks|benchmarks"
    named = re.findall(rf"`((?:{roots})/[\w./-]+)`", path.read_text(encoding="utf-8"))
    lost = [name for name in named if not any(part in name for part in INVENTED) and not (ROOT / name).exists()]
    assert lost == []


@pytest.mark.parametrize(("path", "command"), ALL_COMMANDS, ids=[f"{p.name}: {c[:60]}" for p, c in ALL_COMMANDS])
def test_commands_would_be_accepted(path: Path, command: str) -> None:
    words = shlex.split(command, comments=True)
    while "=" in words[0]:  # VARIABLE=value before the program
        words = words[1:]
    if words[0] == "make":
        targets = [word for word in words[1:] if "=" not in word]
        assert targets
        assert {target for target in targets if f"\n{target}:" not in (ROOT / "Makefile").read_text("utf-8")} == set()
    elif words[0] == "seasonrec":
        _check_subcommand(words[1], words[2:])
    else:
        assert words[0] in ("pip", "git", "wandb", "pytest")


def _check_subcommand(name: str, arguments: list[str]) -> None:
    assert name in (*COMMANDS, "--help")
    overrides = [word for word in arguments if "=" in word and not word.startswith("-")]
    if name not in COMMANDS or not arguments or any(part in word for word in overrides for part in INVENTED):
        return
    if name == "ablate":
        assert (ROOT / arguments[0]).is_file()
        own = COMMANDS["ablate"].composer().keys()
        shared = [override for override in overrides if override.partition("=")[0] not in own]
        assert COMMANDS["train"].composer().mistakes(shared) == []
    elif name != "report" and "--help" not in arguments:
        assert COMMANDS[name].composer().mistakes(overrides, multirun="--multirun" in arguments) == []


def test_the_ablation_that_the_readme_writes_composes(tmp_path: Path) -> None:
    example, _ = _yaml_of_the_readme()
    name = yaml.safe_load(example)["name"]
    (tmp_path / "ablation").mkdir()
    (tmp_path / "ablation" / f"{name}.yaml").write_text(example, encoding="utf-8")
    config = compose([f"ablation={name}"], extra=tmp_path)
    assert config["name"] == name
    assert config["season"]["_target_"].endswith("CalendarSeason")


def test_the_experiment_that_the_readme_writes_composes(tmp_path: Path) -> None:
    _, example = _yaml_of_the_readme()
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(example, encoding="utf-8")
    config = compose(["experiment=mine"], extra=tmp_path)
    assert config["data"]["_target_"].endswith("Table")
    assert (config["data"]["timezone"], str(config["split"]["test_from"])) == ("Europe/London", "2025-10-15")


def _yaml_of_the_readme() -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("trainer", ["cpu", "gpu"])
@pytest.mark.parametrize("path", STUDIES, ids=_name)
def test_every_cell_of_a_shipped_study_composes(path: Path, trainer: str) -> None:
    tree = ConfTree.of()
    study = read_study(path, tree.options("experiment"), tree.options("ablation"))
    composer = COMMANDS["train"].composer()
    for row in study.rows:
        ablation = [] if row == "full" else [f"ablation={row}"]
        cell = [f"experiment={study.experiment}", *study.overrides, *ablation, f"trainer={trainer}"]
        assert composer.mistakes(cell) == []
        assert composer.compose(cell)["trainer"].get("precision") == ("bf16-mixed" if trainer == "gpu" else "32-true")


def test_the_demo_says_its_budget_and_has_the_rows_it_must_have() -> None:
    demo = yaml.safe_load((ROOT / "experiments/01_first_season/demo.yaml").read_text(encoding="utf-8"))
    assert {"full", "no_season", "no_habit", "no_text"} <= set(demo["rows"])
    budget = dict(override.split("=") for override in demo["overrides"])
    assert budget["data.households"] in demo["note"]
    assert f"{budget['trainer.max_epochs']} epochs" in demo["note"]
    assert demo.get("baselines", True)


def test_the_readme_shows_the_numbers_of_the_study() -> None:
    table = ROOT / "experiments/01_first_season/table.md"
    if not table.is_file():
        pytest.skip("the first study has no committed table yet")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = readme.partition("<!-- results: begin")[2].partition("<!-- results: end")[0]
    lines = [line for line in block.splitlines() if line.startswith("|")]
    assert lines, "README.md has no table between its results marks"
    assert [line for line in lines if line not in table.read_text(encoding="utf-8").splitlines()] == []
