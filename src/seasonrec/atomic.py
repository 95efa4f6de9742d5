"""Files that are written completely or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seasonrec.errors import UserError


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
def writing(path: Path, mark: str | None = None) -> Iterator[Path]:
    """Gives a temporary path beside ``path`` and renames it to ``path`` at the end of the block.

    After an error the temporary file is removed, and the file from before stays. A symbolic link stays a link: its
    target is replaced. Missing folders are made.

    Args:
        path: The file to write.
        mark: Ending of the temporary name; None for the number of the process. A fixed ending suits large files with
            a single writer: a temporary file that a kill has left is then written over.

    Raises:
        UserError: If something other than a file stands at ``path``.
    """
    target = check_writable(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{mark or os.getpid()}")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a text file in UTF-8 with the line endings of the text."""
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")
