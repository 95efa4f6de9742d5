"""Content-addressed folders on disk: written completely or not at all, checked at every opening."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from seasonrec.data.preparation.parallel import in_order
from seasonrec.disk import FULL, telling
from seasonrec.errors import UserError

MANIFEST = "manifest.json"


class CacheError(UserError):
    """Error of a cached folder that must not be used; the message gives the reason."""


def default_cache_dir() -> Path:
    """Returns the default cache folder: ``$SEASONREC_CACHE``, else ``~/.cache/seasonrec``."""
    return Path(os.environ.get("SEASONREC_CACHE") or "~/.cache/seasonrec").expanduser()


def content_key(identity: dict[str, object]) -> str:
    """Returns a name of 32 hexadecimal digits for a JSON-serialisable ``identity``."""
    canonical = json.dumps(identity, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(folder: Path, check: bool = True) -> dict[str, Any]:
    """Returns the facts of a cached folder's manifest; checks every file against the manifest if ``check``.

    Raises:
        CacheError: If the manifest or a file is missing, or a size or a hash differs.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files, facts = dict(manifest["files"]), dict(manifest["facts"])
        own = manifest.get("sha256", None if len(manifest) == 2 else "")  # earlier versions wrote none
        is_whole = own in (None, _own(files, facts))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CacheError(f"{folder / MANIFEST} cannot be read ({type(error).__name__})") from error
    if not is_whole:
        raise CacheError(f"{folder / MANIFEST} differs from its own digest")
    if check:
        _check_files(folder, files)
    return facts


def _own(files: dict[str, Any], facts: dict[str, Any]) -> str:
    """Returns the digest of a manifest's content."""
    return hashlib.sha256(json.dumps([files, facts], sort_keys=True).encode()).hexdigest()


def _check_files(folder: Path, files: dict[str, dict[str, Any]]) -> None:
    for path in folder.glob("*.[np][pa]*"):  # arrays and tables
        if path.name not in files:
            raise CacheError(f"{path} has no entry in {MANIFEST}")
    for name, expected in files.items():
        path = folder / name
        if not path.is_file():
            raise CacheError(f"{path} is missing")
        if path.stat().st_size != expected["bytes"]:
            raise CacheError(f"{path} has {path.stat().st_size} bytes, its manifest has {expected['bytes']}")
    for name, sha256 in zip(files, in_order(lambda name: file_sha256(folder / name), files), strict=True):
        if sha256 != files[name]["sha256"]:
            raise CacheError(f"{folder / name} has other content than its manifest (SHA-256 differs)")


def write_folder(folder: Path, write: Callable[[Path], dict[str, Any]]) -> None:
    """Fills a temporary folder with ``write``, adds the manifest, and renames it to ``folder`` in one step.

    An existing folder is replaced; processes that have its files open continue to read the old ones.

    ``write`` creates files in a given folder, without subfolders, and returns facts for the manifest.

    Raises:
        WriteError: If the disk is full.
    """
    temporary = folder.with_name(f".{folder.name}.tmp-{os.getpid()}-{uuid.uuid4().hex[:8]}")
    try:
        with telling(folder, FULL):
            folder.parent.mkdir(parents=True, exist_ok=True)
            temporary.mkdir()
            _write_manifest(temporary, write(temporary))
        _move_into_place(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_manifest(folder: Path, facts: dict[str, Any]) -> None:
    """Writes the manifest without fsync: files that a crash damages differ from it and are made again."""
    paths = sorted(folder.iterdir())
    hashes = zip(paths, in_order(file_sha256, paths), strict=True)
    files = {path.name: {"bytes": path.stat().st_size, "sha256": sha256} for path, sha256 in hashes}
    content = {"files": files, "facts": facts, "sha256": _own(files, facts)}
    (folder / MANIFEST).write_text(json.dumps(content, indent=1), encoding="utf-8")


def _move_into_place(temporary: Path, folder: Path) -> None:
    """Renames a folder to ``folder``; an existing one is first moved aside and removed."""
    aside = temporary.with_name(temporary.name + "-old")
    for _ in range(10):  # another process may put its own folder there between the two renames
        try:
            folder.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise CacheError(f"{folder} cannot be replaced ({error.strerror}); delete it, or set cache_dir") from error
        with contextlib.suppress(OSError):
            temporary.rename(folder)
            return
    raise CacheError(f"{folder} could not be written: other processes keep replacing it; give each its own cache_dir")


@contextlib.contextmanager
def folder_lock(folder: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Locks a folder so that only one process fills it at a time.

    The kernel frees the lock when its holder dies. The lock only avoids double work: on a file system without locks,
    the rename in :func:`write_folder` alone keeps the content correct. ``waiting`` is called once if another process
    holds the lock. The lock file lies beside the folder.

    Raises:
        CacheError: If the parent folder is not writable.
    """
    with _lock_file(folder) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:  # a file system without locks
            yield
            return
        for leftover in folder.parent.glob(f".{folder.name}.tmp-*"):  # of killed processes
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def _lock_file(folder: Path) -> IO[bytes]:
    path = folder.with_name(f".{folder.name}.lock")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666))
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb")  # the lock of another user can be held too
    except OSError as error:
        raise CacheError(
            f"cache_dir must be a folder that can be written to, got {folder.parent} ({error.strerror}); set cache_dir "
            "or the environment variable SEASONREC_CACHE to another place."
        ) from error
