"""Digests of the files of a folder, which are checked when a file is read.

``digests.json`` in a folder lists size and SHA-256 of the folder's files. A writer seals its files last, so that a file
without an entry was left by a kill or changed by hand. A folder without ``digests.json`` was written by an earlier
version and is read unchecked, with one note.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from seasonrec.atomic import write_text
from seasonrec.errors import UserError

MANIFEST = "digests.json"
SUFFIXES = (".ckpt", ".csv", ".json", ".parquet", ".safetensors", ".yaml")
"""Endings of the files that a command reads again; logs and figures are never read."""

Entry = dict[str, Any]
"""``bytes`` and ``sha256`` of a file."""


class DamagedError(UserError):
    """A file that differs from its digest, or the missing digest of a file."""


@dataclass(frozen=True)
class Fault:
    """The reason why a file must not be used.

    Args:
        text: Continues a sentence that begins with the path.
        unlisted: Whether the file merely has no entry, as after a kill between its writing and its sealing.
    """

    text: str
    unlisted: bool = False


def entry_of(path: Path) -> Entry:
    """Returns size and SHA-256 of a file."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return {"bytes": file.tell(), "sha256": sha256}


def entries_of(folder: Path) -> dict[str, Entry] | None:
    """Returns the entries of a folder's files by name; None for the folder of an earlier version.

    Raises:
        DamagedError: If the manifest itself is damaged.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        entries = {str(name): dict(entry) for name, entry in content["files"].items()}
        if content["sha256"] == _own(entries) and len(content) == 2:
            return entries
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise DamagedError(
        f"{path} is damaged, so that no file in {folder} can be checked; bring it back from a copy, or, if you trust "
        "the files, delete it: they are then read unchecked."
    )


def seal(folder: Path, names: Iterable[str] | None = None, afresh: bool = False) -> None:
    """Enters the digests of files, and takes out those of files that are gone.

    The folder of an earlier version, which has files and no manifest, stays as it is.

    Args:
        folder: The folder.
        names: Names of the written files; None for all that a command reads again.
        afresh: Whether to forget all other entries; a folder of an earlier version then gets a manifest too.
    """
    present = {path.name for path in folder.iterdir() if path.suffix in SUFFIXES and path.name != MANIFEST}
    chosen = set(present if names is None else names)
    kept = {} if afresh else entries_of(folder)
    if kept is None and present - chosen:
        return
    found = {name: entry_of(folder / name) for name in chosen if (folder / name).is_file()}
    write_entries(folder, {name: one for name, one in (kept or {}).items() if name not in chosen} | found)


def write_entries(folder: Path, entries: Mapping[str, Entry]) -> None:
    """Writes the manifest of a folder."""
    content = {"files": dict(sorted(entries.items())), "sha256": _own(entries)}
    write_text(folder / MANIFEST, json.dumps(content, indent=1) + "\n")


def fault(path: Path) -> Fault | None:
    """Returns the fault of a file; None where it is intact, or lies in a folder of an earlier version.

    Raises:
        DamagedError: If the manifest itself is damaged.
    """
    entries = entries_of(path.parent)
    if not path.is_file():
        return Fault("is no file" if path.exists() else "is missing")
    if entries is None:
        _tell_unchecked(str(path.parent))
        return None
    if path.name not in entries:
        return Fault(f"has no entry in {MANIFEST} beside it: its writer was stopped, or somebody changed it", True)
    if entries[path.name] != entry_of(path):
        return Fault(f"is damaged: it differs from its digest in {MANIFEST} beside it")
    return None


def is_sealed(folder: Path) -> bool:
    """Returns whether a folder has a manifest, damaged or not."""
    return (folder / MANIFEST).exists()


def is_expected(path: Path) -> bool:
    """Returns whether a file exists, or should exist because it has an entry."""
    return path.exists() or path.name in (entries_of(path.parent) or {})


def check(path: Path, remedy: str) -> Path:
    """Returns the path of an intact file.

    Args:
        path: The file.
        remedy: What the user can do otherwise; ends the sentence.

    Raises:
        DamagedError: If the file is missing, damaged or without a digest.
    """
    if found := fault(path):
        raise DamagedError(f"{path} {found.text}; {remedy}.")
    return path


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """Returns the object in an intact JSON file.

    Args:
        path: The file.
        remedy: As in :func:`check`.

    Raises:
        DamagedError: If the file is missing or damaged, or holds no object.
    """
    try:
        content = json.loads(check(path, remedy).read_text(encoding="utf-8"))
        if isinstance(content, dict):
            return content
    except (ValueError, RecursionError) as error:
        if isinstance(error, DamagedError):
            raise
    raise DamagedError(f"{path} is damaged: it holds no JSON object; {remedy}.")


def _own(entries: Mapping[str, Entry]) -> str:
    """Returns the digest of the entries themselves."""
    return hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()


@cache
def _tell_unchecked_once() -> list[str]:
    return []


def _tell_unchecked(folder: str) -> None:
    told = _tell_unchecked_once()
    if not told:
        told.append(folder)
        print(
            f"note: {folder} has no {MANIFEST}, which earlier versions did not write; its files are read unchecked, "
            "and so are those of further such folders",
            flush=True,
        )
