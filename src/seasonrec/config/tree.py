"""The folder of yaml files: its groups and options, found by globbing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

GLOBAL_GROUPS = ("experiment", "ablation")
"""Groups whose files set several slots at once."""


def conf_dir() -> Path:
    """Returns the shipped ``conf`` folder: inside the package (wheel), else at the top of the repository (editable).

    Raises:
        FileNotFoundError: If there is neither.
    """
    package = Path(__file__).resolve().parents[1]
    candidates = (package / "conf", package.parents[1] / "conf")
    for folder in candidates:
        if (folder / "train.yaml").is_file():
            return folder
    raise FileNotFoundError(
        f"no conf folder with a train.yaml in {candidates[0]} or {candidates[1]}; install seasonrec again."
    )


LIST_GROUPS = ("season", "task", "domain", "stage")
"""Slots of several parts: options are chosen as a list, and each file holds one part under its own name."""


@dataclass(frozen=True)
class ConfTree:
    """Options by group, over one or more folders.

    Args:
        roots: The shipped folder last, a user's own before it.
    """

    roots: tuple[Path, ...]

    @classmethod
    def of(cls, extra: Path | None = None) -> ConfTree:
        """Returns the shipped folder, with a user's own folder on top of it."""
        return cls((*([extra] if extra else []), conf_dir()))

    def groups(self) -> list[str]:
        """Returns names of the groups, sorted."""
        return sorted(
            {path.name for root in self.roots for path in root.iterdir() if path.is_dir() and any(path.glob("*.yaml"))}
        )

    def options(self, group: str) -> list[str]:
        """Returns names of a group's options, sorted; empty for an unknown group."""
        return sorted({path.stem for root in self.roots for path in (root / group).glob("*.yaml")})

    def file(self, group: str, option: str) -> Path | None:
        """Returns the file of an option, None where there is none."""
        files = (root / group / f"{option}.yaml" for root in self.roots)
        return next((file for file in files if file.is_file()), None)

    def targets(self, group: str) -> dict[str, str]:
        """Returns the ``_target_`` of each option that states one."""
        contents = {option: read_yaml(self.file(group, option)) for option in self.options(group)}
        if group in LIST_GROUPS:
            contents = {option: content.get(option) or {} for option, content in contents.items()}
        found = {option: content.get("_target_") for option, content in contents.items()}
        return {option: target for option, target in found.items() if isinstance(target, str)}


def read_yaml(path: Path | None) -> dict[str, Any]:
    """Returns a yaml file as plain values; an empty mapping where it holds none or cannot be read."""
    if path is None:
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        return {}  # Hydra reports the syntax with its line
    return content if isinstance(content, dict) else {}


def summary(path: Path) -> str:
    """Returns what a yaml file says about itself: its first comment that is no directive."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") and "@package" not in line:
            return line.lstrip("# ").strip()
    return ""
