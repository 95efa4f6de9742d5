"""One study at a time in one folder, the jobs that a killed study left behind included."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

WAIT_S = 0.5


@contextmanager
def hold(folder: Path, say: Callable[[str], None]) -> Iterator[int]:
    """Holds the folder's lock, and waits for it first where it is taken.

    The lock goes with the open file, which the jobs of a study inherit: it is free when the last of them has ended,
    so a cell is never trained by two processes at once, not even after the study itself was killed with -9. Where the
    file system has no locks, nobody is kept out.

    Args:
        folder: Run folder of the study.
        say: Told once if there is something to wait for.

    Yields:
        The file descriptor that jobs must inherit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as file:
        if not _acquired(file.fileno()):
            say(f"{folder} is in use by a study, or by a cell that a killed study left running; waiting for it to end.")
            while not _acquired(file.fileno()):
                time.sleep(WAIT_S)
        yield file.fileno()


def _acquired(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: nobody can be kept out
        return True
    return True
