"""The state of a cell on disk, and the check that it still belongs to the study."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Any

from seasonrec.ablate.cells import Cell
from seasonrec.config.difference import PLACE_KEYS, differences
from seasonrec.runs.record import write_json

INDEX = "rows.json"
"""File that lists the baselines of a finished evaluation."""

STAMP = "cell.json"
"""File beside a cell's results that keeps the configuration it was launched with."""

TRIALS = "robustness.csv"
"""File that trials of a trained run leave beside its results."""

BASELINE_KEYS = ("data", "split", "protocol")
"""Top-level keys that decide the numbers of a baseline."""


class State(Enum):
    """The state in which an earlier run left a cell."""

    MISSING = "missing"
    COMPLETE = "complete"
    STALE = "stale"


def state(cell: Cell, config: dict[str, Any]) -> State:
    """Returns what to do with a cell.

    A cell whose stamp differs from ``config`` is stale, finished or not: its checkpoint belongs to another model. A
    cell is complete when every metrics.json that it owes is there and parses. Everything else is missing, and training
    goes on from the checkpoint if there is one.
    """
    if changes(cell, config):
        return State.STALE
    return State.COMPLETE if is_complete(cell) else State.MISSING


def is_complete(cell: Cell) -> bool:
    """Returns whether the cell's results are all there; the file that says so is written last, whole or not at all."""
    if cell.kind == "train":
        return read_object(cell.folder / "metrics.json") is not None
    if cell.kind == "robustness":
        return (cell.folder / TRIALS).is_file() and read_object(cell.folder / "metrics.json") is not None
    index = read_object(cell.folder / INDEX)
    owed = [cell.folder / row / "metrics.json" for row in index["rows"]] if index else [cell.folder / INDEX]
    return all(read_object(path) is not None for path in owed)


def index_baselines(cell: Cell) -> None:
    """Lists the baselines that a finished command left, so that a killed one is told from a finished one."""
    write_json(cell.folder / INDEX, {"rows": sorted(path.parent.name for path in cell.folder.glob("*/metrics.json"))})


def changes(cell: Cell, config: dict[str, Any]) -> list[str]:
    """Returns keys in which the cell's stamp differs from ``config``, as ``key: stored -> wanted``."""
    path = cell.folder / STAMP
    kept = read_object(path)
    if kept is None:
        unknown = f"{path.name} is missing, so nobody can say which configuration made these results"
        return [unknown] if is_complete(cell) else []
    return differences(kept["config"], numbers_of(cell, config))


def stamp(cell: Cell, config: dict[str, Any]) -> None:
    """Writes down the configuration a cell is about to run with; trials of what it was before are no longer its own."""
    write_json(cell.folder / STAMP, {"config": numbers_of(cell, config)})
    if cell.kind == "train":
        (cell.folder / TRIALS).unlink(missing_ok=True)


def numbers_of(cell: Cell, config: dict[str, Any]) -> dict[str, Any]:
    """Returns the part of a configuration that decides the cell's numbers."""
    if cell.kind == "baselines":
        kept = {key: config[key] for key in BASELINE_KEYS if key in config}
    else:
        kept = {key: value for key, value in config.items() if key not in PLACE_KEYS}
    return dict(json.loads(json.dumps(kept, default=str)))  # dates and tuples as they will be when read back


def read_object(path: Path) -> dict[str, Any] | None:
    """Returns a json file that holds an object, or None where it is absent or half-written."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
