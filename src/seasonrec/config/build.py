"""Construction of the class that a checked node names."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

from seasonrec.config.annotations import is_part, wants_tuple
from seasonrec.config.signatures import read_signature


def build(node: dict[str, Any]) -> partial[Any]:
    """Imports the ``_target_`` and binds what yaml says; the caller adds the arguments that code gives.

    Nested parts become partials as well, and lists become tuples where the signature says tuple.

    Args:
        node: A node of a complete configuration.

    Raises:
        TargetError: If the target does not exist.
    """
    target = node["_target_"]
    arguments = read_signature(target).arguments
    module_name, _, name = target.rpartition(".")
    bound: dict[str, Any] = {}
    for key, value in node.items():
        if key != "_target_":
            argument = arguments.get(key)
            as_tuple = argument is not None and wants_tuple(argument.annotation, argument.module)
            bound[key] = _built(value, as_tuple)
    return partial(getattr(import_module(module_name), name), **bound)


def instance(node: dict[str, Any]) -> Any:
    """Imports the ``_target_`` and calls it with plain values; lists become tuples where the signature says tuple."""
    arguments = read_signature(node["_target_"]).arguments
    module_name, _, name = node["_target_"].rpartition(".")
    values = {
        key: tuple(value) if isinstance(value, list) and wants_tuple(argument.annotation, argument.module) else value
        for key, value in node.items()
        if (argument := arguments.get(key)) is not None
    }
    return getattr(import_module(module_name), name)(**values)


def _built(value: Any, as_tuple: bool = False) -> Any:
    if is_part(value):
        return build(value)
    if isinstance(value, dict):
        return {key: _built(entry) for key, entry in value.items()}
    if isinstance(value, list):
        entries = [_built(entry, as_tuple) for entry in value]
        return tuple(entries) if as_tuple else entries
    return value
