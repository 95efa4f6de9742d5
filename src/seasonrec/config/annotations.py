"""Checks of yaml values against annotations that were read from source."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from seasonrec.config.source import Module, name_of
from seasonrec.ranges import LIMITS, Entries, Limit, each, plain_problem

_SEQUENCES = {"tuple", "list", "Tuple", "List", "Sequence", "Iterable", "Collection"}
_MAPPINGS = {"dict", "Dict", "Mapping"}
_SCALARS: dict[str, Callable[[Any], bool]] = {
    "int": lambda value: type(value) is int,
    "float": lambda value: type(value) in (int, float),
    "str": lambda value: isinstance(value, str),
    "Path": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "None": lambda value: value is None,
    "Any": lambda value: True,
    "object": lambda value: True,
}


@dataclass(frozen=True)
class Choice:
    """A member of a union.

    Args:
        annotation: The member, without ``Annotated``.
        module: Module that it is written in.
        limits: Limits that ``Annotated`` states.
    """

    annotation: ast.expr
    module: Module
    limits: tuple[Limit | Entries, ...] = ()


def is_component(value: object) -> bool:
    """Returns whether a node is a mapping with a ``_target_``."""
    return isinstance(value, dict) and isinstance(value.get("_target_"), str)


def fits(value: object, annotation: ast.expr | None, module: Module) -> bool:
    """Returns whether a value has the annotated type.

    An int also fits a float, and a list fits a tuple, but a bool does not fit an int. A class that is none of yaml's
    types stands for a nested component: any mapping with a ``_target_`` fits.
    """
    return any(_fits_one(value, choice) for choice in _choices(annotation, module))


def broken_limit(value: object, annotation: ast.expr | None, module: Module, others: Mapping[str, Any]) -> str | None:
    """Returns the rule that a value of the annotated type breaks, for example ``must be at least 1``, or None.

    Args:
        value: A value that :func:`fits`.
        annotation: The annotation.
        module: Module that it is written in.
        others: Values of the signature's other arguments, which a limit may name.
    """
    problems = [
        _broken_in(value, choice, others) for choice in _choices(annotation, module) if _fits_one(value, choice)
    ]
    return None if None in problems else next(iter(problems), None)


def _broken_in(value: Any, choice: Choice, others: Mapping[str, Any]) -> str | None:
    found = [problem for limit in choice.limits if (problem := limit.problem(value, others))]
    if not found and isinstance(value, list | tuple | dict) and not is_component(value):
        entries = value.values() if isinstance(value, dict) else value
        inner = [member for member in _members(choice.annotation) if ast.unparse(member) != "..."]
        member = inner[-1] if inner else None
        found = [each(one) for entry in entries if (one := broken_limit(entry, member, choice.module, others))]
    return found[0] if found else plain_problem(value)


def wants_component(annotation: ast.expr | None, module: Module) -> bool:
    """Returns whether the annotation takes nothing but a nested component or null."""
    named = _choices_but_null(annotation, module)
    return bool(named) and all(_stands_for_component(choice.annotation) for choice in named)


def wants_components(annotation: ast.expr | None, module: Module) -> bool:
    """Returns whether the annotation takes nothing but a mapping from names to nested components, or null."""
    named = _choices_but_null(annotation, module)
    return bool(named) and all(
        name_of(choice.annotation) in _MAPPINGS
        and any(wants_component(member, choice.module) for member in _members(choice.annotation)[-1:])
        for choice in named
    )


def wants_tuple(annotation: ast.expr | None, module: Module) -> bool:
    """Returns whether the annotation takes a tuple, which yaml writes as a list."""
    return any(name_of(choice.annotation) in {"tuple", "Tuple"} for choice in _choices(annotation, module))


def described(annotation: ast.expr | None, module: Module, limits: bool = False) -> str:
    """Returns the annotation as text for the user; aliases are written out.

    Args:
        annotation: The annotation.
        module: Module that it is written in.
        limits: Whether the limits are told too, as ``--help`` does.
    """
    return " or ".join(dict.fromkeys(_word(choice, limits) for choice in _choices(annotation, module)))


def _word(choice: Choice, limits: bool) -> str:
    annotation = choice.annotation
    if _stands_for_component(annotation):
        return "an option with a _target_"
    if isinstance(annotation, ast.Subscript) and name_of(annotation) == "Literal":
        return f"one of {ast.unparse(annotation.slice).strip('()')}"
    if name_of(annotation) == "None":
        return "null"
    text = ast.unparse(annotation)
    if isinstance(annotation, ast.Subscript):
        inner = [_inside(member, choice.module, limits) for member in _members(annotation)]
        text = f"{name_of(annotation)}[{', '.join(inner)}]"
    return " ".join([text, *map(str, choice.limits)]) if limits else text


def _inside(member: ast.expr, module: Module, limits: bool) -> str:
    """Returns a type within brackets; a choice of words stays as it is written."""
    words = [name_of(choice.annotation) for choice in _choices(member, module)]
    plain = ast.unparse(member) == "..." or "Literal" in words
    return ast.unparse(member) if plain else described(member, module, limits)


def _choices(annotation: ast.expr | None, module: Module) -> list[Choice]:
    """Returns the members of a union, each with the module that it is written in.

    Aliases and quoted annotations are replaced by what they stand for.
    """
    match annotation:
        case None:
            return [Choice(ast.Name("Any"), module)]
        case ast.Constant(value=str(text)):
            return _choices(ast.parse(text, mode="eval").body, module)
        case ast.BinOp(op=ast.BitOr()):
            return _choices(annotation.left, module) + _choices(annotation.right, module)
        case ast.Subscript(slice=ast.Tuple(elts=[inner, *calls])) if name_of(annotation) == "Annotated":
            limits = tuple(limit for call in calls if (limit := _limit(call, module)))
            return [
                Choice(choice.annotation, choice.module, (*choice.limits, *limits))
                for choice in _choices(inner, module)
            ]
        case ast.Subscript() if name_of(annotation) in {"Optional", "Union"}:
            members = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
            empty = [Choice(ast.Constant(None), module)] if name_of(annotation) == "Optional" else []
            return [choice for member in members for choice in _choices(member, module)] + empty
        case ast.Name() if annotation.id not in _SCALARS:
            found = module.lookup(annotation.id)
            if found and isinstance(found[1], ast.Assign | ast.AnnAssign) and found[1].value is not None:
                return _choices(found[1].value, found[0])
    return [Choice(annotation, module)]


def _limit(call: ast.expr, module: Module) -> Limit | Entries | None:
    if not isinstance(call, ast.Call) or name_of(call) not in LIMITS:
        return None
    named = {str(keyword.arg): module.value(keyword.value) for keyword in call.keywords}
    return LIMITS[name_of(call)](*map(module.value, call.args), **named)


def _choices_but_null(annotation: ast.expr | None, module: Module) -> list[Choice]:
    return [choice for choice in _choices(annotation, module) if name_of(choice.annotation) != "None"]


def _fits_one(value: object, choice: Choice) -> bool:
    annotation, module = choice.annotation, choice.module
    name = name_of(annotation)
    if name in _SCALARS:
        return _SCALARS[name](value)
    members = _members(annotation)
    if name == "Literal":
        return any(value == module.value(member) and type(value) is type(module.value(member)) for member in members)
    if name in _SEQUENCES:
        return isinstance(value, list | tuple) and _entries_fit(list(value), name, members, module)
    if name in _MAPPINGS:
        of_values = members[-1] if members else None
        return isinstance(value, dict) and all(fits(entry, of_values, module) for entry in value.values())
    return is_component(value)


def _entries_fit(values: list[object], name: str, members: list[ast.expr], module: Module) -> bool:
    if name in {"tuple", "Tuple"} and members and ast.unparse(members[-1]) != "...":
        return len(values) == len(members) and all(
            fits(value, member, module) for value, member in zip(values, members, strict=True)
        )
    return all(fits(value, members[0] if members else None, module) for value in values)


def _stands_for_component(annotation: ast.expr) -> bool:
    return name_of(annotation) not in {*_SCALARS, *_SEQUENCES, *_MAPPINGS, "Literal"}


def _members(annotation: ast.expr) -> list[ast.expr]:
    if not isinstance(annotation, ast.Subscript):
        return []
    return list(annotation.slice.elts) if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
