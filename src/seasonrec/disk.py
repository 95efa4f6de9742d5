"""Failures of a disk in one sentence, and the check before the work that a folder can be written to."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from platform import node
from zlib import crc32

from seasonrec.errors import UserError

PREFIX = ".seasonrec-"
"""First letters of the temporary folders; host, process and a random number follow."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Numbers of the system's errors that more space would mend."""

ONLY_WRITING = (*FULL, errno.EROFS)
"""Numbers of the system's errors that no reading has."""

FAILURES = (*ONLY_WRITING, errno.EIO, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ESTALE)
"""Numbers of the system's errors that are no fault of the program."""

NEARLY_FULL = 1 << 16
"""Free bytes below which a disk counts as full, where a library does not tell why its writing failed."""

TRIED = 1 << 12
"""Bytes of a trial file."""


class WriteError(UserError):
    """A file that could not be written for a reason of the system; files from before stay as they were."""

    exit_code = 1


def reason_of(error: BaseException, folder: Path | None = None, numbers: Collection[int] = FAILURES) -> int | None:
    """Returns the number of the system's error behind an exception; None where there is none.

    Libraries wrap the system's error, name it in their text, or fail without a reason on a full disk.

    Args:
        error: The exception.
        folder: Folder that was written to; it is asked for free space where the exception gives no reason.
        numbers: Numbers of interest.
    """
    one: BaseException | None = error
    while one is not None:
        told = re.search(r"\(os error (\d+)\)", str(one))  # libraries in Rust
        number = one.errno if isinstance(one, OSError) and one.errno else int(told[1]) if told else None
        if number in numbers:
            return number
        one = one.__cause__ or one.__context__
    has_no_reason = isinstance(error, OSError | RuntimeError)
    return errno.ENOSPC if has_no_reason and _is_full(folder) else None


def failure(path: Path | str, number: int) -> str:
    """Returns the sentence about a file that could not be written."""
    remedy = "free some space" if number in FULL else "make the place writable, or choose another"
    reason = os.strerror(number)
    return (
        f"{path} could not be written ({reason}); what was written before stays: {remedy}, and run the command again."
    )


@contextmanager
def telling(path: Path, numbers: Collection[int] = FAILURES) -> Iterator[None]:
    """Raises a :class:`WriteError` where the block fails because of the disk.

    Args:
        path: The file or folder that the block writes.
        numbers: Numbers of the system's errors that are meant; others are raised as they are.

    Raises:
        WriteError: In place of the error of the system or of a library.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # libraries wrap the system's error in classes of their own
        number = reason_of(error, path.parent, numbers)
        if number is None:
            raise
        raise WriteError(failure(path, number)) from error


def temporary_name() -> str:
    """Returns a name that nobody can guess for a temporary folder of this process."""
    return f"{PREFIX}{this_host()}-{os.getpid()}-{secrets.token_hex(8)}"


def this_host() -> str:
    """Returns the mark of this machine in the names of temporary folders."""
    return f"{crc32(node().encode()):08x}"


def check_folder(folder: Path, key: str, files: Iterable[str] = ()) -> None:
    """Checks, before the work, that a command can write its results.

    A file is written into the nearest existing folder and removed, because permissions alone do not tell: a mounted
    folder may be read-only, a system's folder takes no files from anybody, and a disk may be full.

    Args:
        folder: Folder of the results, which need not exist.
        key: The option that names it, for the message.
        files: Names of the files that will be replaced.

    Raises:
        UserError: If the folder or one of the files cannot be written.
    """
    place = Path(os.path.realpath(folder))
    try:
        while not place.exists():
            place = place.parent
        if not place.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{place} is a file")
        try_writing(place)
        for path in (folder / name for name in files):
            if path.exists() and not path.is_file():
                raise UserError(f"{path} must be a file that can be replaced; remove it, or give another {key}.")
    except OSError as error:
        raise UserError(
            f"{key} must be a place that can be written to, got {folder} ({error.strerror}); give another."
        ) from error


def try_writing(place: Path) -> None:
    """Writes a file into a folder and removes it.

    Raises:
        OSError: If that fails.
    """
    own = place / temporary_name()
    own.mkdir(mode=0o700)
    try:
        (own / "-").write_bytes(bytes(TRIED))
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _is_full(folder: Path | None) -> bool:
    if folder is None:
        return False
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < NEARLY_FULL or (found.f_files > 0 and found.f_favail == 0)
