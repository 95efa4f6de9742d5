"""Rules for the yaml files that a run has chosen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seasonrec.config.errors import Mistake, nearest
from seasonrec.config.schema import ABLATION_MAY_SET
from seasonrec.config.tree import GLOBAL_GROUPS, LIST_GROUPS, ConfTree, read_yaml

PACKAGE_LINE = "# @package _global_"


def choice_mistakes(tree: ConfTree, group: str, option: str) -> list[Mistake]:
    """Returns the mistakes in the file of a chosen option, before Hydra composes it."""
    path = tree.file(group, option)
    if path is None:
        return []
    name = f"{group}/{option}.yaml"
    mistakes = list(_defaults_mistakes(tree, path, name))
    if group not in GLOBAL_GROUPS:
        mistakes += _slot_option_mistakes(path, name)
        return mistakes + (list(_name_mistakes(path, name, option)) if group in LIST_GROUPS else [])
    mistakes += _package_mistakes(path, name)
    if group == "ablation":
        problem = "an ablation must not touch it, or the rows of a table could not be compared"
        remedy = f"take it out; an ablation may set {', '.join(sorted(ABLATION_MAY_SET))}"
        keys = {group.partition("@")[0] for group in overridden_groups(path)} | (set(read_yaml(path)) - {"defaults"})
        mistakes += [Mistake(f"{name}: {key}", problem, remedy) for key in sorted(keys - ABLATION_MAY_SET)]
    return mistakes


def overridden_groups(path: Path) -> set[str]:
    """Returns the groups of a file's defaults list, as on a command line: ``season``, ``season@season.text``."""
    return {key.removeprefix("override ").strip().removeprefix("/") for key in defaults_of(path)}


def defaults_of(path: Path) -> dict[str, Any]:
    """Returns the options of a file's defaults list by group, as written there."""
    entries = read_yaml(path).get("defaults")
    mappings = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return {str(group): option for mapping in mappings for group, option in mapping.items()}


def _defaults_mistakes(tree: ConfTree, path: Path, name: str) -> Iterator[Mistake]:
    """Yields the groups and options of the defaults list that do not exist."""
    for key, option in defaults_of(path).items():
        written = key.removeprefix("override ").strip()
        group = written.removeprefix("/").partition("@")[0]
        if not written.startswith("/") or group.startswith("hydra/") or option is None:
            continue
        if group not in tree.groups():
            yield Mistake(f"{name}: {group}", "unknown group", nearest(group, tree.groups()), str(option))
            continue
        for chosen in option if isinstance(option, list) else [option]:
            if str(chosen) not in tree.options(group):
                remedy = nearest(str(chosen), tree.options(group))
                yield Mistake(f"{name}: {group}", "unknown option", remedy, str(chosen))


def _name_mistakes(path: Path, name: str, option: str) -> Iterator[Mistake]:
    keys = [key for key in read_yaml(path) if key != "defaults"]
    if keys and keys != [option]:
        problem = f"it must hold one component with the name {option!r}, or two components could have one name"
        yield Mistake(name, problem, f"write {option}: and the component below it", ", ".join(map(str, keys)))


def _package_mistakes(path: Path, name: str) -> Iterator[Mistake]:
    first = path.read_text(encoding="utf-8").partition("\n")[0].strip()
    if first != PACKAGE_LINE:
        problem = f"its first line is not {PACKAGE_LINE!r}, so Hydra would put its values elsewhere"
        yield Mistake(name, problem, "make it the first line", repr(first))


def _slot_option_mistakes(path: Path, name: str) -> Iterator[Mistake]:
    text = path.read_text(encoding="utf-8")
    if not read_yaml(path) and all(not line.strip() or line.startswith("#") for line in text.splitlines()):
        problem = "the file is empty, so an empty component would reach the model"
        yield Mistake(name, problem, "give it a _target_; switching off is an option with one")
    problem = "an option of a slot must not set other slots"
    if "@package" in text.partition("\n")[0]:
        yield Mistake(name, problem, "take its '@package' line out")
    for key in defaults_of(path):
        if key.startswith("override "):
            yield Mistake(f"{name}: {key}", problem, "put it into an ablation or experiment file")
