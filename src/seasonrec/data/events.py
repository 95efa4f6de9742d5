"""Preparation: a dataset's tables become flat arrays in the cache, once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from seasonrec.data.arrays import EventArrays, build_arrays
from seasonrec.data.cache import CacheError, content_key, folder_lock, read_manifest, write_folder
from seasonrec.data.checks import check_tables
from seasonrec.data.log import EventLog
from seasonrec.data.tables import Dataset, Rule, SourceTables

PREPARATION_VERSION = 1
"""Raised with every change of what the prepared arrays hold, so that no old cache is taken for a new one."""


def prepare(dataset: Dataset, cache_dir: Path, progress: Callable[[str], None] = print) -> EventLog:
    """Gives the prepared log of a dataset, from the cache where a sound copy lies there.

    The folder's name is a hash of the dataset's identity. A copy that is half-written or differs from its manifest is
    never used but made again; processes that prepare the same data at once take turns.

    Args:
        dataset: The source.
        cache_dir: Parent of all prepared folders; made where absent.
        progress: Receives the report of the cleaning, one line a call.

    Raises:
        DataError: If the source breaks a rule; see the datasets.
    """
    identity = {"dataset": dataset.identity(), "preparation": PREPARATION_VERSION}
    folder = Path(cache_dir).expanduser().resolve() / "prepared" / content_key(identity)
    log = _open_sound(folder, lambda line: None)
    if log is None:
        with folder_lock(folder, waiting=lambda: progress(f"another process prepares {folder}; waiting for it")):
            log = _open_sound(folder, progress)
            if log is None:
                progress(f"preparing {type(dataset).__name__} into {folder}")
                write_folder(folder, lambda to: _write_log(dataset, identity, to))
                log = open_log(folder)
    for line in _report_lines(log):
        progress(line)
    return log


def _open_sound(folder: Path, progress: Callable[[str], None]) -> EventLog | None:
    if not folder.exists():
        return None
    try:
        return open_log(folder)
    except CacheError as error:
        progress(f"the prepared copy is damaged and made again: {error}")
        return None


def _write_log(dataset: Dataset, identity: dict[str, object], folder: Path) -> dict[str, Any]:
    tables = dataset.tables()
    check_tables(tables, type(dataset).__name__)
    arrays, items, users, own_rules = build_arrays(tables)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    items.write_parquet(folder / "items.parquet")
    users.write_parquet(folder / "users.parquet")
    return {
        "identity": identity,
        "digest": content_digest(arrays, items, users),
        "country": dataset.country,
        "timezone": dataset.timezone,
        "arrays": {name: {"dtype": str(array.dtype), "shape": list(array.shape)} for name, array in arrays.items()},
        "report": _report(tables, own_rules),
    }


def _report(tables: SourceTables, own_rules: tuple[Rule, ...]) -> dict[str, object]:
    rules = [{"rule": rule.name, "rows": rule.rows} for rule in (*tables.rules, *own_rules)]
    return {"rules": rules, "notes": list(tables.notes)}


def content_digest(arrays: EventArrays, items: pl.DataFrame, users: pl.DataFrame) -> str:
    """SHA-256 over the values of the log, the same whatever the files of the source or of the cache look like."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name}:{arrays[name].dtype.str}:{arrays[name].shape};".encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    for frame in (items, users.select("user_id")):
        digest.update(json.dumps(frame.to_dict(as_series=False), sort_keys=True).encode())
    return digest.hexdigest()


def open_log(folder: Path) -> EventLog:
    """Opens a prepared folder memory-mapped, after checking every byte against its manifest.

    Raises:
        CacheError: If the folder is not exactly what was written.
    """
    facts = read_manifest(folder)
    try:
        specs: dict[str, dict[str, Any]] = facts["arrays"]
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in specs}
        for name, spec in specs.items():
            if str(arrays[name].dtype) != spec["dtype"] or list(arrays[name].shape) != spec["shape"]:
                raise CacheError(f"{folder / name}.npy is {arrays[name].dtype}{arrays[name].shape}, not {spec}")
        return EventLog(
            folder=folder,
            digest=facts["digest"],
            country=facts["country"],
            timezone=facts["timezone"],
            items=pl.read_parquet(folder / "items.parquet"),
            users=pl.read_parquet(folder / "users.parquet"),
            report=facts["report"],
            **arrays,
        )
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise CacheError(f"{folder} does not hold a prepared log ({error})") from error


def _report_lines(log: EventLog) -> list[str]:
    report: dict[str, Any] = log.report
    lines = [f"  {rule['rows']:>12,} rows: {rule['rule']}" for rule in report["rules"]]
    lines += [f"  note: {note}" for note in report["notes"]]
    sizes = f"{log.num_events:,} events, {log.num_baskets:,} baskets, {log.num_users:,} users, {log.num_items:,} items"
    return [*lines, f"  {sizes} in {log.folder}"]
