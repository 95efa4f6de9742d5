"""Tests of the installation: the wheel, the console script, and the tested set of versions."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

from packaging.requirements import Requirement

from seasonrec.config import conf_dir

ROOT = Path(__file__).resolve().parents[1]


def test_the_wheel_holds_code_and_configuration(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("seasonrec-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        scripts = archive.read(next(name for name in held if name.endswith("entry_points.txt"))).decode()
    wanted = {f"seasonrec/conf/{path.relative_to(conf_dir())}" for path in conf_dir().rglob("*.yaml")}
    wanted |= {f"seasonrec/{path.relative_to(ROOT / 'src/seasonrec')}" for path in ROOT.glob("src/seasonrec/**/*.py")}
    assert {name for name in wanted if "__pycache__" not in name} - held == set()
    assert "seasonrec/py.typed" in held
    assert any(name.endswith("licenses/LICENSE") for name in held)
    assert not any(name.startswith(("tests", "seasonrec/runs/finished/")) for name in held)
    assert "seasonrec = seasonrec.cli.main:main" in scripts


def test_the_console_script_is_installed() -> None:
    (script,) = entry_points(group="console_scripts", name="seasonrec")
    assert script.value == "seasonrec.cli.main:main"
    assert callable(script.load())


def test_constraints_pin_every_requirement_within_its_bounds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = [line for lines in project["optional-dependencies"].values() for line in lines]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    pinned = {_canonical(name): version for name, version in pins.items()}
    assert not any("+" in version for version in pinned.values()), "a local version binds the set to one machine"
    for requirement in map(Requirement, [*project["dependencies"], *optional]):
        if requirement.name != "seasonrec":
            assert requirement.specifier.contains(pinned[_canonical(requirement.name)], prereleases=True), requirement


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
