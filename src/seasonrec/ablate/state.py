"""State of a cell on disk, and the check that it belongs to the study."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any

from seasonrec.ablate.cells import TRIALS, Cell
from seasonrec.config.difference import PLACE_KEYS, differences
from seasonrec.digests import DamagedError, check, fault, is_sealed, seal
from seasonrec.runs.record import write_json

INDEX = "rows.json"
"""File with the list of baselines of a finished evaluation."""

STAMP = "cell.json"
"""File with the configuration that a cell was launched with."""

BASELINE_KEYS = ("data", "split", "protocol")
"""Top-level keys that decide the numbers of a baseline."""


class State(Enum):
    """The state in which an earlier run left a cell."""

    MISSING = "missing"
    COMPLETE = "complete"
    STALE = "stale"


def state(cell: Cell, config: dict[str, Any]) -> State:
    """Returns the state of a cell.

    A cell whose stamp differs from ``config`` is stale, finished or not: its checkpoint belongs to another model. The
    training of a missing cell continues from its checkpoint if there is one.
    """
    if changes(cell, config):
        return State.STALE
    return State.COMPLETE if is_complete(cell) else State.MISSING


def is_complete(cell: Cell) -> bool:
    """Returns whether a cell has all its results; ``metrics.json`` and the list of baselines are written last."""
    if cell.kind == "train":
        return _has_ended(cell.folder / "metrics.json")
    if cell.kind in TRIALS:
        return _has_table(cell) and _has_ended(cell.folder / "metrics.json")
    index = read_object(cell.folder / INDEX) if _has_ended(cell.folder / INDEX) else None
    owed = [cell.folder / row / "metrics.json" for row in index["rows"]] if index else [cell.folder / INDEX]
    return all(_has_ended(path) for path in owed)


def _has_ended(path: Path) -> bool:
    """Returns whether a result has been written to its end.

    Raises:
        DamagedError: If it has been, and differs from its digest.
    """
    found = fault(path)
    if found and path.exists() and not found.unlisted:
        raise DamagedError(f"{path} {found.text}; {_again(path)}.")
    return found is None and read_object(path) is not None


def _again(path: Path) -> str:
    return f"delete {path.parent} and run seasonrec ablate again, which makes its results again"


def _has_table(cell: Cell) -> bool:
    """Returns whether a trial has its table, for a ``counterfactual`` with the wrong dates that the study asks for."""
    if not _is_table(cell.table):
        return False
    if not cell.days:
        return True
    with cell.table.open(encoding="utf-8", newline="") as file:
        return {line.get("days") for line in csv.DictReader(file)} == {"0", *map(str, cell.days)}


def _is_table(path: Path) -> bool:
    if not path.is_file() or ((found := fault(path)) and found.unlisted):
        return False
    check(path, "delete it and run seasonrec ablate again, which makes it again")
    return True


def index_baselines(cell: Cell) -> None:
    """Writes the list of evaluated baselines; its presence means that the command has finished."""
    write_json(cell.folder / INDEX, {"rows": sorted(path.parent.name for path in cell.folder.glob("*/metrics.json"))})
    seal(cell.folder, [INDEX, STAMP])


def changes(cell: Cell, config: dict[str, Any]) -> list[str]:
    """Returns keys in which the cell's stamp differs from ``config``, as ``key: stored -> wanted``."""
    path = cell.folder / STAMP
    if path.exists():
        check(path, f"the configuration of these results is unknown: {_again(path)}")
    kept = read_object(path)
    if kept is None:
        unknown = f"{path.name} is missing, so the configuration of these results is unknown"
        return [unknown] if is_complete(cell) else []
    return differences(kept["config"], _deciding(cell, config))


def stamp(cell: Cell, config: dict[str, Any]) -> None:
    """Saves the configuration of a cell before it runs, and deletes the trials of its earlier run."""
    write_json(cell.folder / STAMP, {"config": _deciding(cell, config)})
    if cell.kind == "train":
        for kind in TRIALS:
            replace(cell, kind=kind).table.unlink(missing_ok=True)
    if is_sealed(cell.folder):  # otherwise the command of the cell seals its folder
        seal(cell.folder, [STAMP, *(replace(cell, kind=kind).table.name for kind in TRIALS if cell.kind == "train")])


def _deciding(cell: Cell, config: dict[str, Any]) -> dict[str, Any]:
    """Returns the keys of a configuration that decide the cell's numbers, as JSON would read them back."""
    if cell.kind == "baselines":
        kept = {key: config[key] for key in BASELINE_KEYS if key in config}
    else:
        kept = {key: value for key, value in config.items() if key not in PLACE_KEYS}
    return dict(json.loads(json.dumps(kept, default=str)))


def read_object(path: Path) -> dict[str, Any] | None:
    """Returns the object in a JSON file, or None where the file is absent or incomplete."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
