"""Differences between two configurations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from seasonrec.config.signatures import TargetError, read_signature
from seasonrec.config.slots import option_of
from seasonrec.config.source import UnreadableError

PLACE_KEYS = ("run_dir", "cache_dir", "logger", "group", "baselines", "verify")
"""Top-level keys of folders, trackers and baselines; they change no number of a run."""

RUN = "seasonrec.config.schema.RunConfig"


def differences(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Returns sorted lines ``key: stored -> wanted`` of the values that differ; a nested key is written with dots.

    A slot with another option is one line with the names of the options. A key that ``stored`` lacks is no difference
    where ``wanted`` has its default, or a slot that is switched off: an earlier version of seasonrec, which did not
    know the key, stored it.
    """
    return sorted(_lines(stored, wanted, ""))


def _lines(stored: object, wanted: object, path: str) -> Iterator[str]:
    stored, wanted = _as_list_slot(stored, wanted), _as_list_slot(wanted, stored)
    if stored == wanted:
        return
    if isinstance(stored, Mapping) and isinstance(wanted, Mapping) and stored.get("_target_") == wanted.get("_target_"):
        for key in stored.keys() | wanted.keys():
            inner = f"{path}.{key}" if path else str(key)
            if key not in stored and _is_default(key, wanted, is_top=not path):
                continue
            yield from _lines(stored.get(key, "absent"), wanted.get(key, "absent"), inner)
    else:
        yield f"{path}: {_shown(stored)} -> {_shown(wanted)}"


def _is_default(key: str, node: Mapping[str, Any], is_top: bool) -> bool:
    """Returns whether a key has the value that it has where nobody sets it."""
    value = node[key]
    if is_top and (value in (None, {}) or (isinstance(value, Mapping) and option_of(value) == "none")):
        return True
    target = RUN if is_top else node.get("_target_")
    if target is None:
        return False
    try:
        argument = read_signature(target).settable.get(key)
        return argument is not None and argument.default is not None and argument.default_value() == value
    except (TargetError, UnreadableError):
        return False


def _as_list_slot(value: object, other: object) -> object:
    """Returns no components in place of null where the other configuration has a list of components."""
    return {} if value is None and isinstance(other, Mapping) and "_target_" not in other else value


def _shown(value: object) -> str:
    """Returns the option's name of a component, which is that of its module, or the value."""
    if isinstance(value, Mapping) and "_target_" in value:
        return str(value["_target_"]).split(".")[-2]
    return repr(value)
