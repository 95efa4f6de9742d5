"""Checks of yaml values against annotations that were read from source."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from seasonrec.config.source import Module, name_of

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


def is_component(value: object) -> bool:
    """Returns whether a node is a mapping with a ``_target_``."""
    return isinstance(value, dict) and isinstance(value.get("_target_"), str)


def fits(value: object, annotation: ast.expr | None, module: Module) -> bool:
    """Returns whether a value has the annotated type.

    An int also fits a float, and a list fits a tuple, but a bool does not fit an int. A class that is none of yaml's
    types stands for a nested component: any mapping with a ``_target_`` fits.
    """
    return any(_fits_one(value, choice, scope) for choice, scope in _choices(annotation, module))


def wants_component(annotation: ast.expr | None, module: Module) -> bool:
    """Returns whether the annotation takes nothing but a nested component or null."""
    named = _choices_but_null(annotation, module)
    return bool(named) and all(_stands_for_component(choice) for choice, _ in named)


def wants_components(annotation: ast.expr | None, module: Module) -> bool:
    """Returns whether the annotation takes nothing but a mapping from names to nested components, or null."""
    named = _choices_but_null(annotation, module)
    return bool(named) and all(
        name_of(choice) in _MAPPINGS and any(wants_component(member, scope) for member in _members(choice)[-1:])
        for choice, scope in named
    )


def wants_tuple(annotation: ast.expr | None, module: Module) -> bool:
    """Returns whether the annotation takes a tuple, which yaml writes as a list."""
    return any(name_of(choice) in {"tuple", "Tuple"} for choice, _ in _choices(annotation, module))


def described(annotation: ast.expr | None, module: Module) -> str:
    """Returns the annotation as text for the user; aliases are written out."""
    return " or ".join(dict.fromkeys(_word(choice) for choice, _ in _choices(annotation, module)))


def _word(choice: ast.expr) -> str:
    if _stands_for_component(choice):
        return "an option with a _target_"
    if isinstance(choice, ast.Subscript) and name_of(choice) == "Literal":
        return f"one of {ast.unparse(choice.slice).strip('()')}"
    return "null" if name_of(choice) == "None" else ast.unparse(choice)


def _choices(annotation: ast.expr | None, module: Module) -> list[tuple[ast.expr, Module]]:
    """Returns the members of a union, each with the module that it is written in.

    Aliases and quoted annotations are replaced by what they stand for.
    """
    match annotation:
        case None:
            return [(ast.Name("Any"), module)]
        case ast.Constant(value=str(text)):
            return _choices(ast.parse(text, mode="eval").body, module)
        case ast.BinOp(op=ast.BitOr()):
            return _choices(annotation.left, module) + _choices(annotation.right, module)
        case ast.Subscript() if name_of(annotation) in {"Optional", "Union", "Annotated"}:
            inner = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
            members = inner[:1] if name_of(annotation) == "Annotated" else inner
            empty = [(ast.Constant(None), module)] if name_of(annotation) == "Optional" else []
            return [choice for member in members for choice in _choices(member, module)] + empty
        case ast.Name() if annotation.id not in _SCALARS:
            found = module.lookup(annotation.id)
            if found and isinstance(found[1], ast.Assign | ast.AnnAssign) and found[1].value is not None:
                return _choices(found[1].value, found[0])
    return [(annotation, module)]


def _choices_but_null(annotation: ast.expr | None, module: Module) -> list[tuple[ast.expr, Module]]:
    return [(choice, scope) for choice, scope in _choices(annotation, module) if name_of(choice) != "None"]


def _fits_one(value: object, annotation: ast.expr, module: Module) -> bool:
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
