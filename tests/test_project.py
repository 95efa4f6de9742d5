"""Tests of the whole project: files and commands named in the documents exist, and the studies compose."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from seasonrec.ablate.study import Study, merged, read_study, with_changes
from seasonrec.cli.commands import COMMANDS
from seasonrec.config import ConfTree

ROOT = Path(__file__).resolve().parents[1]
SITE = sorted(ROOT.glob("docs/**/*.md"))
FIRST = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "CODE_OF_CONDUCT.md")]
PAPERS = [*FIRST, *ROOT.glob("experiments/*/README.md"), *SITE]
STUDIES = sorted(ROOT.glob("experiments/*/*.yaml"))
INVENTED = ("NAME", "_mine", "lstm", "my_parts")
"""Parts of names that are examples in the instructions for extending."""


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _commands(path: Path) -> list[str]:
    """Returns the commands in shell blocks, without comments, and the commands within sentences."""
    text = path.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:bash|sh)\n(.*?)^```", text, re.M | re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    inline = re.findall(r"`((?:make|seasonrec) [^`]+)`", text)
    return [line for line in [*lines, *inline] if line.strip() and not line.lstrip().startswith("#")]


ALL_COMMANDS = [(path, command) for path in PAPERS for command in _commands(path)]


@pytest.mark.parametrize("path", [path for path in PAPERS if path not in SITE], ids=_name)  # mkdocs checks the site's
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
        assert words[0] in ("pip", "git", "wandb", "pytest", "pre-commit")


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
        mistakes = COMMANDS[name].composer().mistakes(overrides, multirun="--multirun" in arguments)
        assert [mistake for mistake in mistakes if mistake.path != "hydra/sweeper"] == []  # plugins are not installed


def test_the_study_that_the_documents_write_is_a_study() -> None:
    text = (ROOT / "docs/studies.md").read_text(encoding="utf-8")
    example = yaml.safe_load(re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S)[0])
    assert set(example) <= {field.name for field in fields(Study)}
    assert COMMANDS["train"].composer().mistakes([*example["experiment"], *example["overrides"]]) == []
    own = [row for row in example["rows"] if isinstance(row, dict)]
    assert [COMMANDS["train"].composer().mistakes(next(iter(row.values()))) for row in own] == [[]]


@pytest.mark.parametrize("trainer", ["cpu", "gpu"])
@pytest.mark.parametrize("path", STUDIES, ids=_name)
def test_every_cell_of_a_shipped_study_composes(path: Path, trainer: str) -> None:
    tree = ConfTree.of()
    composer = COMMANDS["train"].composer()
    study = with_changes(read_study(path, tree), [], composer.compose)
    for row in study.rows:
        cell = merged(study.full, [*study.changes.get(row, ()), f"trainer={trainer}"])
        assert composer.compose(cell).trainer.get("precision") == ("bf16-mixed" if trainer == "gpu" else "32-true")


def test_the_demo_says_its_budget_and_has_the_rows_it_must_have() -> None:
    demo = yaml.safe_load((ROOT / "experiments/01_first_season/demo.yaml").read_text(encoding="utf-8"))
    assert {"full", "no_season", "no_habit", "no_text"} <= set(demo["rows"])
    budget = dict(override.split("=") for override in demo["overrides"])
    assert budget["data.households"] in demo["note"]
    assert f"{budget['trainer.max_epochs']} epochs" in demo["note"]
    assert demo.get("baselines", True)


def test_the_readme_shows_the_numbers_of_the_study() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = _table(readme.partition("<!-- results: begin")[2].partition("<!-- results: end")[0])
    study = _table((ROOT / "experiments/01_first_season/table.md").read_text(encoding="utf-8"))
    assert len(shown) == 5
    for name, cells in shown.items():
        assert {column: study[name][column] for column in cells} == cells


def _table(text: str) -> dict[str, dict[str, str]]:
    """Returns the cells of a Markdown table by row and column."""
    lines = [[cell.strip() for cell in line.strip("| \n").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {line[0]: dict(zip(lines[0][1:], line[1:], strict=False)) for line in lines[2:]}


def test_the_workflow_runs_what_has_to_pass() -> None:
    workflow = (ROOT / ".github/workflows/checks.yml").read_text(encoding="utf-8")
    commands = re.findall(r"^make [\w-]+", (ROOT / ".ci/run").read_text(encoding="utf-8"), re.M)
    assert commands
    assert [command for command in commands if f"run: {command}" not in workflow] == []


def test_every_yaml_of_the_public_host_is_readable() -> None:
    paths = [*ROOT.glob(".github/**/*.yml"), ROOT / ".pre-commit-config.yaml"]
    assert all(yaml.safe_load(path.read_text(encoding="utf-8")) for path in paths)
