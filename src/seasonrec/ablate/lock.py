"""A lock of a study's folder, which also waits for the jobs of a killed study."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

WAIT_S = 0.5


@contextmanager
def hold(folder: Path, say: Callable[[str], None]) -> Iterator[int]:
    """Waits for the folder's lock and holds it.

    The lock belongs to the open file, which the jobs of a study inherit. It is free when the last job has ended, so two
    processes never train one cell, even after ``kill -9`` of the study. A file system without locks keeps nobody out.

    Args:
        folder: Run folder of the study.
        say: Called once with a message if the lock is taken.

    Yields:
        The file descriptor that the jobs must inherit.
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
    except OSError:  # a file system without locks
        pass
    return True
