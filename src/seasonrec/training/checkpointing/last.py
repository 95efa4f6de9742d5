"""The last checkpoint of a run and the one before it, from which a run goes on if the last is damaged."""

from __future__ import annotations

from pathlib import Path

from seasonrec.digests import DamagedError, entries_of, entry_of, write_entries

LAST = "last.ckpt"
PREVIOUS = "previous.ckpt"


def keep_previous(path: Path, written: Path) -> None:
    """Enters the digest of a written checkpoint, and keeps the one that it replaces as ``previous.ckpt``.

    The manifest is written before the files are renamed, and :func:`resumable` accepts a file under either name, so
    that a kill at any moment leaves a checkpoint that is known to be intact.

    Args:
        path: File of the checkpoint.
        written: The new checkpoint, which the caller renames to ``path``.
    """
    entries, previous = entries_of(path.parent), path.with_name(PREVIOUS)
    if entries is None and path.exists():
        return  # begun by an earlier version
    known = entries or {}
    old = {PREVIOUS: known[path.name]} if path.name in known and path.is_file() else {}
    write_entries(path.parent, known | {path.name: entry_of(written)} | old)
    if old:
        path.replace(previous)


def resumable(folder: Path) -> Path | None:
    """Returns the checkpoint from which a run goes on; None where there is none.

    A damaged or missing ``last.ckpt`` is told, and the checkpoint before it is returned.

    Raises:
        DamagedError: If neither is intact.
    """
    last, previous = folder / LAST, folder / PREVIOUS
    entries = entries_of(folder)
    if entries is None:
        return last if last.exists() else None
    intact = [entries[name] for name in (LAST, PREVIOUS) if name in entries]
    if not intact:
        return None
    if last.is_file() and entry_of(last) in intact:
        return last
    state = "is damaged" if last.exists() else "is missing"
    if previous.is_file() and entry_of(previous) in intact:
        print(f"note: {last} {state}; going on from the checkpoint before it, {PREVIOUS}", flush=True)
        return previous
    if not last.exists() and not previous.exists() and PREVIOUS not in entries:
        return None  # a kill before the first checkpoint got its name
    raise DamagedError(
        f"{last} {state}, and there is no intact {PREVIOUS} beside it; delete {folder.parent} to train again from the "
        "beginning."
    )
