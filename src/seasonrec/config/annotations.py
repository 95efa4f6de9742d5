"""Check of a yaml value against an annotation that was read from source."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from seasonrec.config.source import Module

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


def is_part(value: object) -> bool:
    """Returns whether a node names the class that it is built from."""
    return isinstance(value, dict) and isinstance(value.get("_target_"), str)


def fits(value: object, annotation: ast.expr | None, module: Module) -> bool:
    """Returns whether ``value`` is of the annotated type. An int is a float, a bool is no int, a list is a tuple.

    A class that is none of yaml's types stands for a nested part: any mapping with a ``_target_``.
    """
    return any(_fits_one(value, choice, scope) for choice, scope in _choices(annotation, module))


def wants_part(annotation: ast.expr | None, module: Module) -> bool:
    """Returns whether the annotation can only be satisfied by a nested part, null aside."""
    named = [(choice, scope) for choice, scope in _choices(annotation, module) if _name(choice) != "None"]
    return bool(named) and all(_stands_for_part(choice) for choice, _ in named)


def wants_parts(annotation: ast.expr | None, module: Module) -> bool:
    """Returns whether the annotation is a mapping from names to nested parts, null aside."""
    named = [(choice, scope) for choice, scope in _choices(annotation, module) if _name(choice) != "None"]
    return bool(named) and all(_maps_to_parts(choice, scope) for choice, scope in named)


def _maps_to_parts(choice: ast.expr, scope: Module) -> bool:
    members = _members(choice)
    return _name(choice) in _MAPPINGS and bool(members) and wants_part(members[-1], scope)


def wants_tuple(annotation: ast.expr | None, module: Module) -> bool:
    """Returns whether a yaml list is to be given as a tuple."""
    return any(_name(choice) in {"tuple", "Tuple"} for choice, _ in _choices(annotation, module))


def described(annotation: ast.expr | None, module: Module) -> str:
    """Returns the annotation in a reader's words, with aliases spelled out."""
    words = [_word(choice) for choice, _ in _choices(annotation, module)]
    return " or ".join(dict.fromkeys(words))


def _word(choice: ast.expr) -> str:
    if _stands_for_part(choice):
        return "an option with a _target_"
    if isinstance(choice, ast.Subscript) and _name(choice) == "Literal":
        return f"one of {ast.unparse(choice.slice).strip('()')}"
    return "null" if _name(choice) == "None" else ast.unparse(choice)


def _choices(annotation: ast.expr | None, module: Module) -> list[tuple[ast.expr, Module]]:
    """Returns the members of a union with the module that each is written in; aliases and quotes are opened."""
    match annotation:
        case None:
            return [(ast.Name("Any"), module)]
        case ast.Constant(value=str(text)):
            return _choices(ast.parse(text, mode="eval").body, module)
        case ast.BinOp(op=ast.BitOr()):
            return _choices(annotation.left, module) + _choices(annotation.right, module)
        case ast.Subscript() if _name(annotation) in {"Optional", "Union", "Annotated"}:
            inner = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
            members = inner[:1] if _name(annotation) == "Annotated" else inner
            empty = [(ast.Constant(None), module)] if _name(annotation) == "Optional" else []
            return [choice for member in members for choice in _choices(member, module)] + empty
        case ast.Name() if annotation.id not in _SCALARS:
            found = module.lookup(annotation.id)
            if found and isinstance(found[1], ast.Assign | ast.AnnAssign) and found[1].value is not None:
                return _choices(found[1].value, found[0])
    return [(annotation, module)]


def _fits_one(value: object, annotation: ast.expr, module: Module) -> bool:
    name = _name(annotation)
    if name in _SCALARS:
        return _SCALARS[name](value)
    members = _members(annotation)
    if name == "Literal":
        return any(value == module.value(member) and type(value) is type(module.value(member)) for member in members)
    if name in _SEQUENCES:
        return isinstance(value, list | tuple) and _entries_fit(list(value), name, members, module)
    if name in _MAPPINGS:
        return isinstance(value, dict) and all(
            fits(entry, members[-1] if members else None, module) for entry in value.values()
        )
    return is_part(value)


def _entries_fit(values: list[object], name: str, members: list[ast.expr], module: Module) -> bool:
    if name in {"tuple", "Tuple"} and members and not _is_ellipsis(members[-1]):
        return len(values) == len(members) and all(
            fits(value, member, module) for value, member in zip(values, members, strict=True)
        )
    return all(fits(value, members[0] if members else None, module) for value in values)


def _stands_for_part(annotation: ast.expr) -> bool:
    return _name(annotation) not in {*_SCALARS, *_SEQUENCES, *_MAPPINGS, "Literal"}


def _members(annotation: ast.expr) -> list[ast.expr]:
    if not isinstance(annotation, ast.Subscript):
        return []
    return list(annotation.slice.elts) if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is Ellipsis


def _name(annotation: ast.expr) -> str:
    match annotation:
        case ast.Name():
            return annotation.id
        case ast.Attribute():
            return annotation.attr
        case ast.Subscript():
            return _name(annotation.value)
        case ast.Constant(value=None):
            return "None"
    return ast.unparse(annotation)
