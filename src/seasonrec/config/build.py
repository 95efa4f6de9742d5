"""Construction of the class that a node of the configuration names."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

from seasonrec.config.annotations import is_component, wants_tuple
from seasonrec.config.signatures import read_signature


def build(node: dict[str, Any], nested: bool = True) -> partial[Any]:
    """Imports the ``_target_`` and binds the arguments of the node; the caller adds those that code gives.

    Lists become tuples where the signature says tuple.

    Args:
        node: A node of a complete configuration.
        nested: Whether nested components become partials too; otherwise they stay dictionaries.

    Raises:
        TargetError: If the target does not exist.
    """
    module_name, _, name = node["_target_"].rpartition(".")
    arguments = read_signature(node["_target_"]).arguments
    bound: dict[str, Any] = {}
    for key, value in node.items():
        if key != "_target_":
            as_tuple = wants_tuple(arguments[key].annotation, arguments[key].module)
            bound[key] = _built(value, nested, as_tuple)
    return partial(getattr(import_module(module_name), name), **bound)


def _built(value: Any, nested: bool, as_tuple: bool = False) -> Any:
    if is_component(value):
        return build(value) if nested else value
    if isinstance(value, dict):
        return {key: _built(entry, nested) for key, entry in value.items()}
    if isinstance(value, list):
        entries = [_built(entry, nested, as_tuple) for entry in value]
        return tuple(entries) if as_tuple else entries
    return value
