"""Files that are written completely or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seasonrec.disk import PREFIX, telling, temporary_name, this_host
from seasonrec.errors import UserError

LEFTOVER_S = 86_400.0
"""Age in seconds at which a temporary folder of another machine counts as left over."""


def check_writable(path: Path) -> Path:
    """Checks that a regular file can stand at a path, and returns the place that symbolic links lead to.

    Raises:
        UserError: If a folder, a device, a FIFO or a socket stands there.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        kind = "a folder" if target.is_dir() else "a device, a FIFO or a socket"
        raise UserError(f"{path} must be a file that can be replaced, got {kind}; give the path of a file")
    return target


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Gives a temporary path near ``path`` and renames it to ``path`` at the end of the block.

    The temporary file has a folder of its own beside ``path``, with a name that nobody can guess and that nobody else
    may enter, so that no link can lead the writing elsewhere. After an error it is removed, and the file from before
    stays. What a kill has left is removed by the next writing in the same folder. A symbolic link at ``path`` stays a
    link: its target is replaced. Missing folders are made, and the file has the mode of the umask.

    Args:
        path: The file to write.

    Raises:
        UserError: If something other than a file stands at ``path``.
        WriteError: If the disk is full, read-only or broken.
    """
    target = check_writable(path)
    with telling(target), temporary_folder(target.parent) as own:
        mode = _mode_of_umask(own)
        temporary = own / target.name
        with telling(target):  # asks for the space before the temporary file gives it back
            yield temporary
        with contextlib.suppress(PermissionError):  # a file system without modes
            temporary.chmod(mode)
        temporary.replace(target)


@contextmanager
def temporary_folder(parent: Path, of_others: bool = True) -> Iterator[Path]:
    """Makes a folder of this process in ``parent``, and removes it at the end with all that is in it.

    Its name cannot be guessed, and nobody else may enter. Those of ended processes are removed first.

    Args:
        parent: Folder in which it is made.
        of_others: Whether to remove what other machines have left, see :func:`remove_leftovers`.
    """
    parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(parent, of_others)
    own = parent / temporary_name()
    own.mkdir(mode=0o700)
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)


def remove_leftovers(folder: Path, of_others: bool = True) -> None:
    """Removes the temporary folders of ended processes of this machine, and those of other machines after a day.

    Args:
        folder: Folder that holds them.
        of_others: Whether to remove those of other machines, where none can be in use for a day.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            is_ours = entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False)
            if is_ours and _is_left_over(entry, of_others):
                shutil.rmtree(entry.path, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Writes a text file in UTF-8 with the line endings of the text."""
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def _mode_of_umask(folder: Path) -> int:
    """Returns the mode of a new file; asking the system for the umask would change it for other threads."""
    probe = folder / "-"
    descriptor = os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o666)
    try:
        return os.fstat(descriptor).st_mode & 0o777
    finally:
        os.close(descriptor)
        probe.unlink()


def _is_left_over(entry: os.DirEntry[str], of_others: bool) -> bool:
    host, number, *_ = f"{entry.name.removeprefix(PREFIX)}--".split("-")
    if host == this_host() and number.isdecimal():
        return not _is_alive(int(number))
    return of_others and time.time() - entry.stat(follow_symlinks=False).st_mtime > LEFTOVER_S


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # a process of another user
        return True
    return True
