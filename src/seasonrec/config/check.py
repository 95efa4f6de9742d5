"""Check of a composed configuration against signatures: unknown, missing and mistyped keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from seasonrec.config.annotations import broken_limit, described, fits, is_component, wants_component, wants_components
from seasonrec.config.errors import Mistake, shown
from seasonrec.config.meant import meant_inside
from seasonrec.config.signatures import Argument, Signature, TargetError, read_class, read_signature
from seasonrec.config.source import UnreadableError
from seasonrec.config.tree import ConfTree


class Unresolved:
    """A value that is missing or cannot be resolved; the mistake has been reported."""


@dataclass(frozen=True)
class Checker:
    """A check of configurations against signatures.

    Args:
        tree: Groups and options; they tell to which option a key belongs.
        choices: The chosen ``group/option`` by yaml path, for example ``season.text`` -> ``season/text``.
    """

    tree: ConfTree
    choices: dict[str, str]

    def top_level(self, config: dict[str, Any], schema: Signature) -> list[Mistake]:
        """Returns all mistakes of a command's configuration."""
        return list(self._bind(config, schema, ""))

    def _component(self, node: Any, path: str) -> Iterator[Mistake]:
        if isinstance(node, Unresolved):
            return
        if not is_component(node):
            yield self._no_target(node, path)
            return
        try:
            signature = read_signature(node["_target_"])
            read_class(node["_target_"])
        except TargetError as error:
            yield Mistake(f"{path}._target_", error.problem, error.remedy, node["_target_"])
            return
        given = {key: value for key, value in node.items() if key != "_target_"}
        yield from self._bind(given, signature, f"{path}.")

    def _bind(self, given: dict[str, Any], signature: Signature, prefix: str) -> Iterator[Mistake]:
        for key, value in given.items():
            path = f"{prefix}{key}"
            argument = signature.arguments.get(str(key))
            if argument is None:
                yield self._unknown(path, str(key), value, signature)
            elif argument.at_run_time:
                yield Mistake(
                    path, f"{signature.target} is given this by code, never by yaml", "take it out", shown(value)
                )
            elif not isinstance(value, Unresolved):
                yield from self._value(value, argument, path)
                yield from _limit_mistakes(value, argument, path, given, signature)
        for name, argument in signature.arguments.items():
            if argument.is_required and name not in given:
                wanted = described(argument.annotation, argument.module)
                remedy = f"write {prefix}{name}=... ({wanted})"
                yield Mistake(f"{prefix}{name}", f"missing, {signature.target} needs it", remedy)
        yield from _unreadable_defaults(given, signature, prefix)

    def _value(self, value: object, argument: Argument, path: str) -> Iterator[Mistake]:
        annotation, module = argument.annotation, argument.module
        if is_component(value) or (wants_component(annotation, module) and not fits(value, annotation, module)):
            yield from self._component(value, path)
        elif wants_components(annotation, module) and isinstance(value, dict):
            for name, node in value.items():
                yield from self._component(node, f"{path}.{name}")
            return
        if not fits(value, annotation, module) and not wants_component(annotation, module):
            wanted = described(annotation, module)
            remedy = _type_remedy(value, wanted) or _example(argument, path, {})
            yield Mistake(path, f"must be {wanted}, got {type(value).__name__}", remedy, shown(value))

    def _no_target(self, node: object, path: str) -> Mistake:
        group = self.choices.get(path, path).partition("/")[0]
        options = self.tree.options(group)
        choose = f"choose one of {group}={'|'.join(options)}" if options else "give a _target_"
        if node is None:
            problem = "a slot cannot be null, switching off is an option with a _target_"
        elif node == {}:
            problem = "an empty component, the yaml file of its option holds nothing"
        elif isinstance(node, dict):
            problem = "has no _target_"
        else:
            problem, choose = "is a slot, not a value", f"set it in a defaults list: override /{path}: ...; {choose}"
        return Mistake(path, problem, choose, shown(node))

    def _unknown(self, path: str, key: str, value: object, signature: Signature) -> Mistake:
        group, _, option = self.choices.get(path.rpartition(".")[0], "").partition("/")
        owners = [
            f"{group}={other}"
            for other, target in self.tree.targets(group).items()
            if option != other and _takes(target, key)
        ]
        shown_value = None if isinstance(value, dict) else shown(value)
        if owners:
            problem = f"a leftover, {group}={option} does not take it"
            return Mistake(path, problem, f"take it out, it belongs to {', '.join(owners)}", shown_value)
        return Mistake(path, f"unknown key of {signature.target}", meant_inside(path, signature.settable), shown_value)


def complete(given: dict[str, Any], signature: Signature) -> dict[str, Any]:
    """Adds the defaults of every signature, so that a saved configuration holds every value that decided the run."""
    values = {"_target_": given["_target_"]} if "_target_" in given else {}
    for name, argument in signature.settable.items():
        if name in given or argument.default is not None:
            values[name] = _completed(given[name] if name in given else argument.default_value())
    return values


def _completed(value: Any) -> Any:
    if is_component(value):
        return complete(value, read_signature(value["_target_"]))
    if isinstance(value, dict):
        return {key: _completed(entry) for key, entry in value.items()}
    return [_completed(entry) for entry in value] if isinstance(value, list | tuple) else value


def _limit_mistakes(
    value: object, argument: Argument, path: str, given: dict[str, Any], signature: Signature
) -> Iterator[Mistake]:
    if not fits(value, argument.annotation, argument.module) or value == _default(argument):
        return  # a wrong type is told elsewhere
    others = {name: _default(one) for name, one in signature.settable.items()} | given
    others = {name: other for name, other in others.items() if isinstance(other, int | float)}
    problem = broken_limit(value, argument.annotation, argument.module, others)
    if problem:
        yield Mistake(path, problem, _example(argument, path, others), shown(value))


def _example(argument: Argument, path: str, others: dict[str, Any]) -> str:
    """Returns the remedy for a value that an argument does not take: its default, where that lies in its range."""
    default = _default(argument)
    if argument.default is None or broken_limit(default, argument.annotation, argument.module, others):
        return f"write {path}=... ({described(argument.annotation, argument.module, limits=True)})"
    return f"try {path}={shown(default).replace(', ', ',')}"


def _default(argument: Argument) -> Any:
    """Returns a default, or None without one or where it cannot be read, which is told elsewhere."""
    try:
        return argument.default_value() if argument.default is not None else None
    except UnreadableError:
        return None


def _takes(target: str, key: str) -> bool:
    try:
        return key in read_signature(target).settable
    except TargetError:
        return False


def _unreadable_defaults(given: dict[str, Any], signature: Signature, prefix: str) -> Iterator[Mistake]:
    for name, argument in signature.settable.items():
        if name in given or argument.default is None:
            continue
        try:
            argument.default_value()
        except UnreadableError as error:
            problem = f"the default {error} of {signature.target} cannot be recorded without running code"
            yield Mistake(f"{prefix}{name}", problem, "make it a literal or a constant of a module")


def _type_remedy(value: object, wanted: str) -> str | None:
    """Returns how the value itself would be accepted, or None where another value is needed."""
    if "str" in wanted.split() and isinstance(value, int | float | bool):
        return f"put it in quotes: \"'{value}'\" on a command line"
    if isinstance(value, list) and "tuple[str" in wanted:
        return f"put each entry in quotes: {[str(entry) for entry in value]}"
    if wanted.startswith(("tuple", "list")) and not isinstance(value, dict | list):
        return f"write [{value}]"
    return None
