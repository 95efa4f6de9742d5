"""Costs of a row: time, memory and weights, from the records of its runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from seasonrec.digests import is_expected, read_json


@dataclass(frozen=True)
class Cost:
    """Costs of a row, means over seeds; None where nothing was recorded.

    Args:
        seconds: Wall time by stage.
        parameters: Number of trained weights.
        peak_mib: Peak memory of the run, MiB.
        all_parameters: Number of weights, trained or not.
        checkpoint_bytes: Size of the file of weights.
        step_ms: Median milliseconds of a training step: forward, backward and update, without the loading.
        peak_gpu_mib: Peak of the memory allocated on the GPU, MiB.
    """

    seconds: dict[str, float]
    parameters: int | None
    peak_mib: float | None
    all_parameters: int | None = None
    checkpoint_bytes: float | None = None
    step_ms: float | None = None
    peak_gpu_mib: float | None = None


class CostColumn(NamedTuple):
    """A column of a table; ``show`` returns a cost in the column's unit, empty if it was not recorded."""

    title: str
    show: Callable[[Cost], str]


def _shown(value: float | None, form: str, scale: float = 1.0) -> str:
    return "" if value is None else format(value * scale, form)


def _share(cost: Cost) -> str:
    if cost.parameters is None or not cost.all_parameters:
        return ""
    return f"{100 * cost.parameters / cost.all_parameters:.1f}"


def _thousands(count: int | None) -> str:
    if count is None:
        return ""
    return f"{count / 1e6:.2f}M" if count >= 1_000_000 else f"{count / 1e3:.0f}k"


COLUMNS = {
    "minutes": CostColumn("minutes", lambda cost: _shown(sum(cost.seconds.values()) or None, ".1f", 1 / 60)),
    "weights": CostColumn("weights", lambda cost: _thousands(cost.parameters)),
    "trained_share": CostColumn("trained %", _share),
    "checkpoint": CostColumn("file MB", lambda cost: _shown(cost.checkpoint_bytes, ".2f", 1e-6)),
    "memory": CostColumn("memory MiB", lambda cost: _shown(cost.peak_mib, ",.0f")),
    "gpu_memory": CostColumn("GPU MiB", lambda cost: _shown(cost.peak_gpu_mib, ",.0f")),
    "step": CostColumn("ms a step", lambda cost: _shown(cost.step_ms, ".0f")),
}
"""Columns by their name in a study."""


def read_records(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """Returns the records of a row's runs; a baseline has none."""
    paths = (folder / "record.json" for folder in folders)
    return [read_json(path, "bring it back from a copy, or run the cell again") for path in paths if is_expected(path)]


def read_cost(folders: Sequence[Path]) -> Cost | None:
    """Returns the cost of a row from its run folders, one per seed; None if there is no record."""
    records = read_records(folders)
    if not records:
        return None
    stages: dict[str, list[float]] = {}
    for record in records:
        for stage, seconds in record.get("stages_s", {}).items():
            stages.setdefault(stage, []).append(float(seconds))
    return Cost(
        seconds={stage: sum(values) / len(values) for stage, values in stages.items()},
        parameters=records[0].get("trained_parameters"),
        peak_mib=_mean(records, "peak_memory_mib"),
        all_parameters=records[0].get("parameters"),
        checkpoint_bytes=_mean(records, "checkpoint_bytes"),
        step_ms=_mean(records, "step_ms"),
        peak_gpu_mib=_mean(records, "peak_gpu_memory_mib"),
    )


def _mean(records: Sequence[dict[str, Any]], key: str) -> float | None:
    values = [float(record[key]) for record in records if record.get(key) is not None]
    return sum(values) / len(values) if values else None
