"""Checks of a run's files against their digests, and the sentences that say what can still be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seasonrec.digests import DamagedError, check, fault, read_json

RESULTS = ("results.parquet", "metrics.json")


def check_config(run_dir: Path) -> Path:
    """Checks the saved configuration of a run and returns its file.

    Raises:
        DamagedError: If it is missing, was damaged, or was edited by hand.
    """
    path = run_dir / "config.yaml"
    if not path.exists():
        remedy = "without it nobody knows how the weights were trained: bring it back from a copy, or train in another"
        check(path, f"{remedy} folder: seasonrec train run_dir=NEW{_results_too(run_dir)}")
    remedy = (
        "a saved configuration says how the weights were trained and must not be edited: undo the change "
        "(record.json has its values), or train with other values in another folder: seasonrec train run_dir=NEW ..."
    )
    return check(path, f"{remedy}{_results_too(run_dir)}")


def check_model(run_dir: Path) -> None:
    """Checks the record and the weights of a run or of one of its domains.

    Raises:
        DamagedError: If one of them is missing or damaged.
    """
    read_record(run_dir)
    again = "the model cannot be asked: bring the file back from a copy, or delete the folder and train again"
    check(run_dir / "model.safetensors", f"{again}{_results_too(run_dir)}")


def read_record(run_dir: Path) -> dict[str, Any]:
    """Returns the content of a run's ``record.json``, which names the data that the weights were trained on.

    Raises:
        DamagedError: If it is missing or damaged.
    """
    remedy = (
        "without it nobody knows which data the weights belong to, and the model cannot be asked: bring the file back "
        "from a copy, or delete the folder and train again"
    )
    return read_json(run_dir / "record.json", f"{remedy}{_results_too(run_dir)}")


def _results_too(run_dir: Path) -> str:
    """Returns the end of a sentence that says whether the results of a run can still be reported."""
    try:
        intact = all(fault(run_dir / name) is None for name in RESULTS)
    except DamagedError:
        intact = False
    return "; its results can still be reported" if intact else ""
