"""Rows of a walk: one JSON file an origin, and all of them as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import polars as pl

from seasonrec.atomic import write_text
from seasonrec.data.csv_text import without_formulas
from seasonrec.digests import check, fault, read_json, seal
from seasonrec.runs.record import write_json

Decision = Literal["static", "live", "worse", "unjudged", "nothing"]
"""Fate of an update: ``static`` has none; ``live`` answers from the origin on; ``worse`` and ``unjudged`` (fewer than
five users in the gate's weeks) stay out; ``nothing`` means that the new period held no request."""


@dataclass(frozen=True)
class WalkRow:
    """One origin of a walk.

    Args:
        origin: Local day of the origin.
        next_origin: First day after the period that it answers.
        decision: Fate of the update.
        model: Origin whose weights answer the period; ``start`` for those of the checkpoint.
        learned_until: First local day that these weights have not learned.
        learned_until_s: The same in seconds.
        new_requests: Training requests of the update; 0 without one.
        baskets: Baskets of the period.
        n: Targets of the period.
        metrics: Means over the period by name; empty without a target.
        gate: Update minus live weights on the gate's weeks; empty without an update or a gate.
        year_ago: Live weights minus those of the checkpoint on the same days of the previous year; empty where the log
            does not hold them.
        seconds: Seconds of ``update``, ``gate``, ``evaluate`` and ``year_ago``.
        trained_bytes: Bytes of the weights that the update trained.
        kept_bytes: Bytes that the adaptation keeps besides the live weights.
    """

    origin: str
    next_origin: str
    decision: Decision
    model: str
    learned_until: str
    learned_until_s: int
    new_requests: int
    baskets: int
    n: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    gate: Mapping[str, Any] = field(default_factory=dict)
    year_ago: Mapping[str, Any] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    trained_bytes: int = 0
    kept_bytes: int = 0

    def flat(self) -> dict[str, Any]:
        """Returns the row with a column for each entry of its mappings."""
        columns: dict[str, Any] = {}
        for name, value in asdict(self).items():
            if name == "metrics":
                columns |= value
            elif name == "seconds":
                columns |= {f"{key}_s": seconds for key, seconds in value.items()}
            elif isinstance(value, dict):
                columns |= {f"{name}_{key}": entry for key, entry in value.items() if key != "metric"}
            else:
                columns[name] = value
        return columns


def row_file(folder: Path, origin: str) -> Path:
    """Returns the file of an origin's row."""
    return folder / "origins" / f"{origin}.json"


def results_file(folder: Path, origin: str) -> Path:
    """Returns the file of an origin's results."""
    return folder / "origins" / f"{origin}.parquet"


def write_row(folder: Path, row: WalkRow) -> None:
    """Writes the row of an origin atomically; its presence means that the origin is complete."""
    path = row_file(folder, row.origin)
    write_json(path, asdict(row))
    seal(path.parent, [path.name, results_file(folder, row.origin).name])


def read_row_of(folder: Path, origin: str, next_origin: str) -> WalkRow | None:
    """Reads the row of an origin; None where it is not complete, or was of a period that ended on another day.

    Raises:
        DamagedError: If the row or the results of the origin are damaged.
    """
    path = row_file(folder, origin)
    if not path.exists() or ((found := fault(path)) and found.unlisted):
        return None
    again = f"delete {path.parent}/{origin}.* and run seasonrec adapt again, which repeats this origin"
    row = WalkRow(**read_json(path, again))
    check(results_file(folder, origin), again)
    return row if row and row.next_origin == next_origin else None


def write_rows(folder: Path, rows: Sequence[WalkRow]) -> None:
    """Writes ``rows.csv``, one line an origin."""
    flat = [row.flat() for row in rows]
    columns = dict.fromkeys(key for row in flat for key in row)
    table = pl.DataFrame([{key: row.get(key) for key in columns} for row in flat], infer_schema_length=None)
    write_text(folder / "rows.csv", without_formulas(table).write_csv())
