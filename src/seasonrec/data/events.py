"""Conversion of a dataset's tables to flat arrays in the cache."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from seasonrec.data.cache import CacheError, content_key, folder_lock, read_manifest, write_folder
from seasonrec.data.features import COLUMN
from seasonrec.data.files.calendar_file import calendar_path, read_calendar, require_items
from seasonrec.data.glance import MERGED, glance
from seasonrec.data.log import EventLog
from seasonrec.data.occasions import Occasion, as_rows, from_rows
from seasonrec.data.preparation.arrays import category_codes, write_arrays
from seasonrec.data.preparation.checks import check_tables, check_types, unread
from seasonrec.data.preparation.coded import CodedTables, StreamedDataset, coded_events
from seasonrec.data.preparation.digest import folder_digest
from seasonrec.data.tables import Dataset, Rule, RuleReport
from seasonrec.data.trust import is_own_folder
from seasonrec.terminal import plain

PREPARATION_VERSION = 3
"""Version of the prepared arrays; every change of their content, or of what is refused or noted when a source is read,
must increase it, so that no old cache is used."""


def prepare(
    dataset: Dataset, cache_dir: Path, progress: Callable[[str], None] = print, verify: bool = False
) -> EventLog:
    """Returns the prepared log of a dataset, from the cache if it holds a valid copy.

    The name of the copy's folder is a hash of the dataset's identity. A copy that is incomplete or differs from its
    manifest is made again. Processes that prepare the same data at the same time take turns. Of another user's copy,
    or one that others may write to, the digest is computed from its bytes; where it holds names of behaviours,
    which no digest covers, a copy of one's own is made beside it.

    Args:
        dataset: The source.
        cache_dir: Folder of all prepared folders; created if absent.
        progress: Receives the lines of the report.
        verify: Whether to compute the digest of one's own copy too.

    Raises:
        DataError: If the source breaks a rule; see the datasets.
    """
    identity = {"dataset": dataset.identity(), "preparation": PREPARATION_VERSION}
    folder = Path(cache_dir).expanduser().resolve() / "prepared" / content_key(identity)
    wanted = partial(_open_valid, dataset=dataset, verify=verify)
    alone = folder.with_name(f"{folder.name}-{os.geteuid()}")
    log = wanted(folder) or wanted(alone)
    if log is None:
        if folder.exists() and folder.stat().st_uid not in (os.geteuid(), 0):
            wanted(folder, progress)  # says why it is not used
            folder = alone
        with folder_lock(folder, waiting=lambda: progress(f"another process prepares {folder}; waiting for it")):
            log = wanted(folder, progress)
            if log is None:
                progress(f"preparing {type(dataset).__name__} into {folder}")
                sometimes = throttled(progress)
                write_folder(folder, lambda to: _write_log(dataset, identity, to, sometimes))
                log = open_log(folder, check=False)
    for line in _report_lines(log):
        progress(plain(line))
    return log


def throttled(write: Callable[[str], None], least_s: float = 10.0) -> Callable[[str], None]:
    """Returns a function that passes on one progress line per interval, so that short work prints nothing."""
    last_s = time.monotonic()

    def progress(line: str) -> None:
        nonlocal last_s
        now_s = time.monotonic()
        if now_s - last_s >= least_s:
            last_s = now_s
            write(f"  {line}")

    return progress


def _open_valid(
    folder: Path, progress: Callable[[str], None] = lambda line: None, *, dataset: Dataset, verify: bool
) -> EventLog | None:
    if not folder.exists():
        return None
    try:
        log = open_log(folder, verify=verify)
        if (log.country, log.timezone) != (dataset.country, dataset.timezone):
            raise CacheError(f"{folder} has country {log.country} and time zone {log.timezone}, not those of the data")
        return log
    except CacheError as error:
        progress(f"the prepared copy is damaged and made again: {error}")
        return None


def _write_log(
    dataset: Dataset, identity: dict[str, object], folder: Path, progress: Callable[[str], None]
) -> dict[str, Any]:
    tables = _coded_tables(dataset, folder, progress)
    ids = tables.events.items.alias("item_id").to_frame()
    items = ids.join(tables.items, on="item_id", how="left", maintain_order="left")
    features = [column for column in items.columns if column.startswith(COLUMN)]
    items = items.select("item_id", "text", "category", *features)
    users = tables.events.users.alias("user_id").to_frame()
    if tables.users is not None:
        users = users.join(tables.users, on="user_id", how="left", maintain_order="left")
    specs, merged = write_arrays(tables.events, folder, progress)
    codes = category_codes(items)
    np.save(folder / "item_categories.npy", codes, allow_pickle=False)
    specs["item_categories"] = {"dtype": str(codes.dtype), "shape": list(codes.shape)}
    items.write_parquet(folder / "items.parquet")
    users.write_parquet(folder / "users.parquet")
    same = "same user, item, behaviour and second" if len(tables.events.behaviours) else "same user, item and second"
    report = RuleReport([*tables.rules, Rule(f"{same}: {MERGED}", merged)])
    notes: list[str] = []
    occasions = _occasions(dataset, items, report, notes)
    rules = [{"rule": rule.name, "rows": rule.rows} for rule in report.rules]
    return {
        "identity": identity,
        "digest": folder_digest(folder, specs, items, users, occasions),
        "country": dataset.country,
        "timezone": dataset.timezone,
        "arrays": specs,
        "report": {"rules": rules, "notes": [*tables.notes, *notes]},
        "occasions": as_rows(occasions),
        "behaviours": tables.events.behaviours.to_list(),
    }


def _occasions(dataset: Dataset, items: pl.DataFrame, report: RuleReport, notes: list[str]) -> tuple[Occasion, ...]:
    """Returns the occasions of the dataset's own calendar; fills the report and the notes."""
    name = getattr(dataset, "calendar", None)
    if name is None:
        return ()
    path = calendar_path(name)
    found = read_calendar(path, dataset.country, report)
    notes += require_items(found, items, path)
    return found


def _coded_tables(dataset: Dataset, folder: Path, progress: Callable[[str], None]) -> CodedTables:
    if isinstance(dataset, StreamedDataset):
        return dataset.coded_tables(folder, progress)
    tables, place = dataset.tables(), type(dataset).__name__
    check_types(tables.events, place)
    events = coded_events(tables.events)
    check_tables(tables, events, place)
    return CodedTables(events, tables.items, tables.users, tables.rules, (*tables.notes, *unread(tables.events)))


def open_log(folder: Path, check: bool = True, verify: bool = False) -> EventLog:
    """Opens a prepared folder memory-mapped.

    Args:
        folder: The folder.
        check: Whether to compare every byte with the manifest. The digest of a folder that another user may have
            changed is then computed again.
        verify: Whether to compute the digest of one's own folder too.

    Raises:
        CacheError: If the folder differs from its manifest or digest, or another user may have changed what no digest
            covers.
    """
    facts = read_manifest(folder, check)
    try:
        specs: dict[str, dict[str, Any]] = facts["arrays"]
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in specs}
        for name, spec in specs.items():
            if str(arrays[name].dtype) != spec["dtype"] or list(arrays[name].shape) != spec["shape"]:
                raise TypeError(f"{name}.npy is {arrays[name].dtype}{arrays[name].shape}, not {spec}")
        log = EventLog(
            folder=folder,
            digest=facts["digest"],
            country=facts["country"],
            timezone=facts["timezone"],
            items=pl.read_parquet(folder / "items.parquet"),
            users=pl.read_parquet(folder / "users.parquet"),
            report=facts["report"],
            occasions=from_rows(facts.get("occasions", [])),
            behaviours=tuple(facts.get("behaviours", [])),
            **arrays,
        )
        is_own = not check or is_own_folder(folder)
        if verify or not is_own:
            _verify(log, specs)
        if not is_own and log.behaviours:
            raise CacheError(f"{folder} holds names of behaviours that another user may change")
        return log
    except CacheError:
        raise
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise CacheError(f"{folder} does not hold a prepared log ({error})") from error


def _verify(log: EventLog, specs: dict[str, dict[str, Any]]) -> None:
    found = folder_digest(log.folder, specs, log.items, log.users, log.occasions)
    if found != log.digest:
        raise CacheError(f"{log.folder} has the digest {found[:12]}, its manifest says {log.digest[:12]}")


def _report_lines(log: EventLog) -> list[str]:
    report: dict[str, Any] = log.report
    lines = [f"  {rule['rows']:>12,} rows: {rule['rule']}" for rule in report["rules"]]
    lines += [f"  note: {note}" for note in report["notes"]]
    if log.users.width > 1 and not is_own_folder(log.folder):
        lines.append("  note: another user may change the users' attributes in this folder, which no digest covers")
    return [*lines, *(f"  {line}" for line in glance(log))]
