"""Differences between two configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PLACE_KEYS = ("run_dir", "cache_dir", "logger", "group", "baselines")
"""Top-level keys of folders, trackers and baselines; they change no number of a run."""


def differences(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Returns sorted lines ``key: stored -> wanted`` of the values that differ; a nested key is written with dots."""
    before, after = _flat(stored), _flat(wanted)
    return [
        f"{key}: {before.get(key, 'absent')!r} -> {after.get(key, 'absent')!r}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def _flat(node: object, prefix: str = "") -> dict[str, Any]:
    """Returns nested mappings as ``{"trainer.max_epochs": 3, ...}``; an empty one is a value."""
    if not isinstance(node, Mapping) or not node:
        return {prefix: node}
    flat: dict[str, Any] = {}
    for key, value in node.items():
        flat |= _flat(value, f"{prefix}.{key}" if prefix else str(key))
    return flat
