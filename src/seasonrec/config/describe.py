"""The text of ``--help``: groups, their options, and keys with their defaults."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import Any

from seasonrec.config.annotations import described, is_component, wants_component, wants_components
from seasonrec.config.compose import Composer
from seasonrec.config.errors import shown
from seasonrec.config.files import defaults_of
from seasonrec.config.signatures import Argument, TargetError, read_signature
from seasonrec.config.source import UnreadableError
from seasonrec.config.tree import LIST_GROUPS, ConfTree, read_yaml, summary


def describe(composer: Composer, overrides: Sequence[str] = (), only: Container[str] = ()) -> str:
    """Returns groups with their options, then keys with their defaults.

    Args:
        composer: Composer of the command.
        overrides: Choices such as ``data=table``; their keys replace those of the default option.
        only: Groups and keys to show; empty for all.
    """
    tree, defaults = composer.tree, _default_options(composer.tree, composer.config_name)
    signature = read_signature(composer.schema)
    others = tree.groups_of(signature.settable)
    groups = [*defaults, *(group for group in others if group not in defaults)] if defaults else []
    groups = [group for group in groups if not only or group in only]
    chosen = defaults | dict(_chosen(tree, overrides))
    lines = list(_groups(tree, groups, defaults)) if groups else []
    stated = read_yaml(tree.roots[-1] / f"{composer.config_name}.yaml")
    lines += ["Keys (key=value):"]
    for name, argument in signature.settable.items():
        annotation, module = argument.annotation, argument.module
        is_slot = wants_component(annotation, module) or wants_components(annotation, module)
        if not is_slot and (not only or name in only):
            lines.append(f"  {name:<14} {_default(argument, stated.get(name))}")
    for group in groups:
        for option in chosen.get(group, ()):
            content, place = read_yaml(tree.file(group, option)), group
            if group in LIST_GROUPS:
                content, place = content.get(option) or {}, f"{group}.{option}"
            lines += _keys(content, place, f"\nKeys of {group}={option}:")
    return "\n".join(lines)


def _default_options(tree: ConfTree, config_name: str) -> dict[str, list[str]]:
    chosen = defaults_of(tree.roots[-1] / f"{config_name}.yaml").items()
    groups = tree.groups()
    return {group: option if isinstance(option, list) else [option] for group, option in chosen if group in groups}


def _chosen(tree: ConfTree, overrides: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    for override in overrides:
        group, _, value = override.partition("=")
        known = tree.options(group)
        options = [option.strip() for option in value.strip("[]").split(",")]
        if any(option in known for option in options):
            yield group, [option for option in options if option in known]


def _groups(tree: ConfTree, groups: list[str], defaults: dict[str, list[str]]) -> Iterator[str]:
    yield "Groups and their options (group=option; * is the default):"
    for group in groups:
        yield f"  {group}" + (f" (a list: {group}=[A,B], or {group}=[])" if group in LIST_GROUPS else "")
        for option in tree.options(group):
            file = tree.file(group, option)
            mark = "*" if option in defaults.get(group, ()) else " "
            yield f"  {mark} {option:<18} {summary(file) if file else ''}"
    yield ""


def _keys(node: dict[str, Any], place: str, title: str | None = None) -> Iterator[str]:
    if not is_component(node):
        return
    try:
        settable = read_signature(node["_target_"]).settable
    except TargetError:
        return
    if title and settable:
        yield title
    for name, argument in settable.items():
        if not wants_component(argument.annotation, argument.module):
            yield f"  {place}.{name:<24} {_default(argument, node.get(name))}"
        elif is_component(node.get(name)):
            yield from _keys(node[name], f"{place}.{name}")


def _default(argument: Argument, stated: Any) -> str:
    kind = described(argument.annotation, argument.module, limits=True)
    if stated is not None:
        return f"{stated}  ({kind})"
    try:
        return f"{shown(argument.default_value())}  ({kind})" if argument.default else f"required  ({kind})"
    except UnreadableError as error:
        return f"{error}  ({kind})"
