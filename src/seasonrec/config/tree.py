"""Groups and options of the folders of yaml files."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from seasonrec.config.schema import ABLATION_MAY_SET
from seasonrec.config.yaml_size import check_size

GLOBAL_GROUPS = ("experiment", "ablation")
"""Groups whose files set several slots at once."""


def conf_dir() -> Path:
    """Returns the shipped ``conf`` folder, which is in the package (wheel) or in the repository (editable).

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


LIST_GROUPS = ("season", "task", "domain", "stage", "forecaster")
"""Slots of several components: options are chosen as a list, and each file holds one component under its own name."""


@dataclass(frozen=True)
class ConfTree:
    """The options of all groups, from one or more folders.

    Args:
        roots: Folders; the shipped one comes last, the user's own before it.
    """

    roots: tuple[Path, ...]

    @classmethod
    def of(cls, extra: Path | None = None) -> ConfTree:
        """Returns the shipped options, and those of the user's own folder before them.

        Raises:
            ConfigError: If a file of the user's own folder expands to more values than a configuration can have.
        """
        for path in sorted(extra.rglob("*.yaml")) if extra else ():
            check_size(path)
        return cls((*([extra] if extra else []), conf_dir()))

    def groups(self) -> list[str]:
        """Returns the sorted names of the groups."""
        return sorted(
            {path.name for root in self.roots for path in root.iterdir() if path.is_dir() and any(path.glob("*.yaml"))}
        )

    def groups_of(self, keys: Collection[str]) -> list[str]:
        """Returns the groups that a command takes: its slots, and if they are those of a run, the global groups.

        Args:
            keys: Top-level keys of the command.
        """
        has_all = set(keys) >= ABLATION_MAY_SET
        return [group for group in self.groups() if group in keys or (has_all and group in GLOBAL_GROUPS)]

    def options(self, group: str) -> list[str]:
        """Returns the sorted names of a group's options; empty for an unknown group."""
        return sorted({path.stem for root in self.roots for path in (root / group).glob("*.yaml")})

    def file(self, group: str, option: str) -> Path | None:
        """Returns the file of an option, or None."""
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
    """Returns a yaml file as plain values; an empty mapping where it holds no mapping or cannot be read."""
    if path is None:
        return {}
    try:
        content = yaml.safe_load(check_size(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        return {}  # Hydra reports the syntax with its line
    return content if isinstance(content, dict) else {}


def summary(path: Path) -> str:
    """Returns the first comment of a yaml file that is no directive; it says what the file is."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") and "@package" not in line:
            return line.lstrip("# ").strip()
    return ""
