"""What ``--help`` prints: groups, their options, and keys with their defaults, all read from the files themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from seasonrec.config.annotations import described, is_part, wants_part, wants_parts
from seasonrec.config.compose import Composer
from seasonrec.config.errors import shown
from seasonrec.config.signatures import Argument, TargetError, read_signature
from seasonrec.config.source import UnreadableError
from seasonrec.config.tree import LIST_GROUPS, ConfTree, read_yaml, summary


def describe(composer: Composer) -> str:
    """Groups with their options (the default is marked), then keys with their defaults."""
    defaults = _default_options(composer.tree, composer.config_name)
    lines = list(_groups(composer.tree, defaults)) if defaults else []
    signature = read_signature(composer.schema)
    stated = read_yaml(composer.tree.roots[-1] / f"{composer.config_name}.yaml")
    lines += ["Keys (key=value):"]
    for name, argument in signature.settable.items():
        annotation, module = argument.annotation, argument.module
        if not wants_part(annotation, module) and not wants_parts(annotation, module):
            lines.append(f"  {name:<14} {_default(argument, stated.get(name))}")
    for group, option in defaults.items():
        lines += _option_keys(composer.tree, group, option)
    return "\n".join(lines)


def _default_options(tree: ConfTree, config_name: str) -> dict[str, Any]:
    entries = read_yaml(tree.roots[-1] / f"{config_name}.yaml").get("defaults") or []
    chosen = {str(group): option for entry in entries if isinstance(entry, dict) for group, option in entry.items()}
    return {group: option for group, option in chosen.items() if group in tree.groups()}


def _groups(tree: ConfTree, defaults: dict[str, str | None]) -> Iterator[str]:
    yield "Groups and their options (group=option; * is the default):"
    for group in [*defaults, *(group for group in tree.groups() if group not in defaults)]:
        yield f"  {group}" + (f" (several: {group}=[A,B]; none by default, {group}=[])" if group in LIST_GROUPS else "")
        for option in tree.options(group):
            file = tree.file(group, option)
            mark = "*" if defaults.get(group) == option else " "
            yield f"  {mark} {option:<18} {summary(file) if file else ''}"
    yield ""


def _option_keys(tree: ConfTree, group: str, option: str | None) -> Iterator[str]:
    """Keys of a default option, with what its yaml states."""
    stated = read_yaml(tree.file(group, option)) if option else {}
    if not is_part(stated):
        return
    try:
        settable = read_signature(stated["_target_"]).settable
    except TargetError:
        return
    if settable:
        yield f"\nKeys of {group}={option}:"
    for name, argument in settable.items():
        if not wants_part(argument.annotation, argument.module):
            yield f"  {group}.{name:<24} {_default(argument, stated.get(name))}"


def _default(argument: Argument, stated: Any) -> str:
    kind = described(argument.annotation, argument.module)
    if stated is not None:
        return f"{stated}  ({kind})"
    try:
        return f"{shown(argument.default_value())}  ({kind})" if argument.default else f"required  ({kind})"
    except UnreadableError as error:
        return f"{error}  ({kind})"
