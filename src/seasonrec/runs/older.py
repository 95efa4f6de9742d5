"""Translation of configurations that an older version saved."""

from __future__ import annotations

from typing import Any

MOVED = {
    "seasonrec.models.items.": "seasonrec.models.item_encoder.",
    "seasonrec.models.backbones.": "seasonrec.models.backbone.",
    "seasonrec.models.heads.": "seasonrec.models.head.",
    "seasonrec.models.tasks.": "seasonrec.models.task.",
    "seasonrec.training.losses.": "seasonrec.training.loss.",
    "seasonrec.training.loggers.": "seasonrec.training.logger.",
    "seasonrec.training.optim.": "seasonrec.training.optimizer.",
    "seasonrec.data.splits.": "seasonrec.batches.splits.",
    "seasonrec.data.loader.": "seasonrec.batches.loader.",
    "seasonrec.data.context.": "seasonrec.batches.context.",
    "seasonrec.data.labels.": "seasonrec.batches.labels.",
    "seasonrec.domains.": "seasonrec.runs.domains.",
}
"""Modules of components that have moved since 0.1.0."""


def upgraded(config: dict[str, Any]) -> dict[str, Any]:
    """Returns a stored configuration with today's module names, and with its seasons by name.

    Version 0.1.0 had one season, or several inside ``CombinedSeason``. Without a season the value is None, as in a new
    run. Its candidates were first sold before the request, or in its own second, which no version ranks now.
    """
    known: dict[str, Any] = _renamed(config)
    protocol = known.get("protocol", {})
    if protocol.get("candidates") == "seen_before_request":
        known["protocol"] = {**protocol, "candidates": "before_request"}
    season = known.get("season")
    if isinstance(season, dict) and "_target_" in season:
        module = str(season["_target_"]).split(".")[-2]
        if module == "combined":
            seasons = {name: node for name, node in season.items() if name != "_target_"}
        else:
            seasons = {module: season}
        known["season"] = {name: node for name, node in seasons.items() if not _is_off(node)} or None
    return known


def _is_off(season: dict[str, Any]) -> bool:
    return str(season["_target_"]).endswith(".NoSeason")


def _renamed(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _renamed(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_renamed(value) for value in node]
    old = next((old for old in MOVED if isinstance(node, str) and node.startswith(old)), None)
    return node if old is None else MOVED[old] + node[len(old) :]
