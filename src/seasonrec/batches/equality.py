"""Equality to the bit of everything that a model reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache, partial
from types import FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.data.spec import DataSpec

Leaf = Tensor | NDArray[Any] | float | tuple[Any, ...]
"""A value without parts that are looked at one by one."""

_ALONE = (Tensor, np.ndarray, int, float)

_SECONDS: tuple[object, ...] = (torch.int64, np.dtype(np.int64))
"""Types of times in seconds."""

_HIDDEN = ("_parameters", "_buffers", "_modules")
"""Attributes in which a module keeps its tensors and parts under their own names."""


def difference(before: Any, after: Any, name: str, births_from_s: int | None = None) -> str | None:
    """Returns the place of the first difference of two objects, or None.

    Tensors, arrays, numbers and texts count, in mappings, sequences, modules and other objects.

    Args:
        before: An object.
        after: The same object, made of another log.
        name: Name of the object, with which its places begin; may be empty.
        births_from_s: Second from which first-seen times are unknown. Such a time, an int64, may differ, because
            availability at a request is no secret of the future.
    """
    found, other = leaves(before, name), leaves(after, name)
    for place, value in found.items():
        if place not in other or not _same(value, other[place], births_from_s):
            return place
    return next((place for place in other if place not in found), None)


def owner(value: Any, place: str) -> Any:
    """Returns the innermost object on the way to a place within a value, for example the module of a buffer."""
    for name in place.split("."):
        inner = getattr(value, name, None)
        if isinstance(inner, Tensor | FunctionType) or not hasattr(inner, "__dict__"):
            break
        value = inner
    return value


def leaves(value: Any, path: str) -> dict[str, Leaf]:
    """Returns all tensors, arrays, numbers and tuples of texts or numbers within a value, by place."""
    found: dict[str, Leaf] = {}
    _gather(value, path, found, set())
    return found


def _gather(value: Any, path: str, found: dict[str, Leaf], seen: set[int]) -> None:
    """Adds the leaves of a value; no generator, because an audit looks at hundreds of thousands of them."""
    if isinstance(value, _ALONE):
        found[path] = value
    elif isinstance(value, tuple | list) and all(isinstance(entry, str | int | float) for entry in value):
        found[path] = tuple(value)
    elif id(value) not in seen:
        seen.add(id(value))
        for name, entry in _entries(value):
            _gather(entry, f"{path}.{name}" if path and name else path or name, found, seen)


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Yields the parts of a value by name; a part without a name has the place of the whole."""
    if isinstance(value, dict | Mapping):
        yield from ((str(key), entry) for key, entry in value.items())
    elif isinstance(value, tuple | list):
        yield from ((str(place), entry) for place, entry in enumerate(value))
    elif isinstance(value, partial):
        yield from (("", value.func), ("args", value.args), ("", value.keywords))
    elif isinstance(value, MethodType):
        yield "", value.__self__
    elif isinstance(value, FunctionType):
        yield from zip(
            value.__code__.co_freevars, (cell.cell_contents for cell in value.__closure__ or ()), strict=True
        )
    elif isinstance(value, type | DataSpec):  # every component may know the facts of the whole data
        return
    elif is_dataclass(value):
        kind: Any = type(value)
        yield from ((name, getattr(value, name)) for name in _field_names(kind))
    else:
        yield from (("" if name in _HIDDEN else name, entry) for name, entry in getattr(value, "__dict__", {}).items())


@cache
def _field_names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _same(one: Leaf, other: Leaf, births_from_s: int | None) -> bool:
    if type(one) is not type(other):
        return False
    if not isinstance(one, Tensor | np.ndarray) or not isinstance(other, Tensor | np.ndarray):
        return one == other or one != one
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if isinstance(one, Tensor) and torch.equal(one, other):  # type: ignore[arg-type]  # the usual case, and the fastest
        return True
    equal: Any = (one == other) | ((one != one) & (other != other))
    if births_from_s is not None and one.dtype in _SECONDS:
        equal = equal | ((one >= births_from_s) & (other >= births_from_s))
    return bool(equal.all())
