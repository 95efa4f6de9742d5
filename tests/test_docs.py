"""The documentation site: it builds offline, and every option and public name has its place in it."""

from __future__ import annotations

import logging
import re
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml
from mkdocs.commands.build import build
from mkdocs.config import load_config

import seasonrec

ROOT = Path(__file__).resolve().parents[1]
GROUPS = {path.name for path in (ROOT / "conf").iterdir()}
SLOTS = {path.parent.name for path in ROOT.glob("src/seasonrec/models/*/__init__.py")}
METHOD = [*sorted(SLOTS & GROUPS), "loss", "balancing", "adversarial", "domain", "stage", "adaptation"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a warning, for example of a link that leads nowhere, fails the build."""
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", _refuse)
        patch.setenv("NO_MKDOCS_2_WARNING", "1")
        patch.chdir(ROOT)
        config = load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(folder))
        config.plugins.on_startup(command="build", dirty=False)
        found = _Warnings()
        logging.getLogger("mkdocs").addHandler(found)
        build(config)
        logging.getLogger("mkdocs").removeHandler(found)
        config.plugins.on_shutdown()
    assert found.messages == []
    return folder


class _Warnings(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def _refuse(*_: object) -> None:
    raise OSError("the documentation must build without a network")


def _text(site: Path, page: str) -> str:
    return (site / page / "index.html").read_text(encoding="utf-8")


def test_the_front_door_is_documented(site: Path) -> None:
    page = _text(site, "api")
    missing = [name for name in seasonrec.__all__ if name not in page]
    assert missing == []


@pytest.mark.parametrize("group", METHOD)
def test_every_option_of_the_method_is_documented(site: Path, group: str) -> None:
    page = _text(site, "method/" + {"stage": "stages", "text_augmentation": "augmentation"}.get(group, group))
    options = [path.stem for path in (ROOT / "conf" / group).glob("*.yaml")]
    assert options
    assert [name for name in options if f"<code>{name}</code>" not in page] == []


def test_every_decision_is_dated_and_listed(site: Path) -> None:
    index = _text(site, "decisions")
    pages = sorted(ROOT.glob("docs/decisions/2*.md"))
    assert pages
    for path in pages:
        assert f"*Decided on {path.name[:10]}.*" in path.read_text(encoding="utf-8")
        assert path.stem in index


def test_the_results_show_the_whole_table(site: Path) -> None:
    page = _text(site, "results")
    table = (ROOT / "experiments/01_first_season/table.md").read_text(encoding="utf-8")
    numbers = re.findall(r"\d\.\d{3,4} ±\d[\d.]*", table)
    assert numbers
    assert [number for number in numbers if number not in page.replace("</strong>", "").replace("<strong>", "")] == []


def test_the_readme_is_short_and_names_every_group() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.encode()) <= 10_000
    assert [group for group in METHOD if f"| `{group}` |" not in readme] == []
    missing = [
        f"{group}: {path.stem}"
        for group in METHOD
        for path in (ROOT / "conf" / group).glob("*.yaml")
        if path.stem not in readme
    ]
    assert missing == [], "name each option in the row of its group in README.md, which may have 10,000 bytes"


def test_the_navigation_names_every_page() -> None:
    nav = yaml.safe_load(re.sub(r"!!\S+", "", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))["nav"]
    named = set(re.findall(r"[\w/]+\.md", str(nav)))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/**/*.md")}
    assert {page for page in pages - named if not page.startswith("decisions/2")} == set()


@pytest.mark.parametrize("path", sorted((ROOT / "docs/extend").glob("*.md")), ids=lambda path: path.stem)
def test_the_examples_of_extensions_import_what_they_use(path: Path) -> None:
    """Runs the definitions of each example, and looks for names that nothing defines."""
    for block in re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
        source = textwrap.dedent(block)
        exec(compile(source, path.name, "exec", dont_inherit=True), {"__name__": __name__})
        ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--quiet", "--select=F", "--ignore=F401", "-"]
        found = subprocess.run(ruff, input=source, capture_output=True, text=True, check=False)
        assert found.stdout == ""
