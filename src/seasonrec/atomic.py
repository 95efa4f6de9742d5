"""Files that are written completely or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from platform import node

from seasonrec.errors import UserError

PREFIX = ".seasonrec-"
"""First letters of the temporary folders; host, process and a random number follow."""

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
    """
    target = check_writable(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(target.parent)
    own = target.parent / f"{PREFIX}{_host()}-{os.getpid()}-{secrets.token_hex(8)}"
    own.mkdir(mode=0o700)
    try:
        mode = _mode_of_umask(own)
        temporary = own / target.name
        yield temporary
        with contextlib.suppress(PermissionError):  # a file system without modes
            temporary.chmod(mode)
        temporary.replace(target)
    finally:
        shutil.rmtree(own, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Removes the temporary folders of ended processes of this machine, and those of other machines after a day."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False) and _is_left_over(entry):
                shutil.rmtree(entry.path, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Writes a text file in UTF-8 with the line endings of the text."""
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def _host() -> str:
    return f"{zlib.crc32(node().encode()):08x}"


def _mode_of_umask(folder: Path) -> int:
    """Returns the mode of a new file; asking the system for the umask would change it for other threads."""
    probe = folder / "-"
    descriptor = os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o666)
    try:
        return os.fstat(descriptor).st_mode & 0o777
    finally:
        os.close(descriptor)
        probe.unlink()


def _is_left_over(entry: os.DirEntry[str]) -> bool:
    host, _, rest = entry.name.removeprefix(PREFIX).partition("-")
    number = rest.partition("-")[0]
    if host == _host() and number.isdecimal():
        return not _is_alive(int(number))
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > LEFTOVER_S


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # a process of another user
        return True
    return True
