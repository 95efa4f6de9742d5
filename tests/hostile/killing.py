"""Commands that are killed at any moment and started again, and what they leave behind."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random

from seasonrec.disk import PREFIX

MARK = "SEASONREC_TRIAL"
"""Variable that tells the processes of a trial, and all that they start, from other processes."""

SAME = (".csv", ".md", ".parquet", ".pdf", ".png", ".safetensors", ".tex")
"""Endings of the files that must be equal to the bit; so must be ``metrics.json``."""

PATIENCE_S = 900.0

Started = tuple[Callable[[], int], Callable[[], int | None], int]
"""Wait and poll of a started command, which return its exit code, and its process."""


class Place:
    """A working folder with a cache and a temporary folder of its own.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.temporary = root / "temporary"
        self.temporary.mkdir(parents=True)

    @property
    def environment(self) -> dict[str, str]:
        paths = os.pathsep.join(filter(None, sys.path))
        return {**os.environ, MARK: str(self.root), "TMPDIR": str(self.temporary), "PYTHONPATH": paths}

    def processes(self) -> list[int]:
        """Returns the processes of this place that are alive, also those that the killed ones had started."""
        mark = f"{MARK}={self.root}".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
        return [process for process in found if process != os.getpid()]

    def wait_for_all(self) -> None:
        """Waits until no process of this place is left; a cell outlives its killed study until it has ended."""
        deadline = time.monotonic() + PATIENCE_S
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.2)
        assert self.processes() == []

    def left_behind(self) -> list[str]:
        """Returns what a command must not leave: temporary files and folders, and locks that are held."""
        paths = [path for path in self.root.rglob("*") if path.name.startswith(PREFIX) or ".tmp" in path.name]
        paths += [path for path in self.temporary.iterdir() if not path.name.startswith("torchinductor_")]
        locks = [path for path in self.root.rglob(".*lock") if not _is_free(path)]
        return sorted({str(path.relative_to(self.root)) for path in [*paths, *locks]})

    def results(self, folder: str) -> dict[str, str]:
        """Returns the digests of all results in a folder, but for costs, times, and curves, which each start has."""
        paths = [path for path in (self.root / folder).rglob("*") if path.suffix in SAME or path.name == "metrics.json"]
        own = ("costs.csv", "rows.csv")
        chosen = [path for path in paths if path.name not in own and not path.parent.name.startswith("curves")]
        return {str(path.relative_to(self.root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in chosen}

    def start(self, *arguments: str) -> Started:
        """Starts a command as a user does."""
        with (self.root / "said.txt").open("a") as said:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "seasonrec.cli", *arguments],
                cwd=self.root, env=self.environment, stdout=said, stderr=said, start_new_session=True,
            )  # fmt: skip
        return process.wait, process.poll, process.pid

    def start_forked(self, *arguments: str) -> Started:
        """Starts a command in a fork of a process that has imported the libraries already."""
        forking = multiprocessing.get_context("forkserver")
        forking.set_forkserver_preload(["seasonrec.commands.train", "killing"])
        process = forking.Process(target=_forked, args=(self.environment, self.root, arguments))
        process.start()

        def wait() -> int:
            process.join()
            return process.exitcode or 0

        return wait, lambda: process.exitcode, process.pid or 0

    @property
    def said(self) -> str:
        return (self.root / "said.txt").read_text()


def _forked(environment: dict[str, str], root: Path, arguments: Sequence[str]) -> None:
    from seasonrec.cli.main import main

    os.environ.clear()
    os.environ.update(environment)
    os.chdir(root)
    with (root / "said.txt").open("a") as said:
        for stream in (1, 2):
            os.dup2(said.fileno(), stream)
    sys.exit(main(arguments))


def _is_free(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def kill(place: Place, started: Started, after_s: float, how: str, random: Random) -> str:
    """Kills a command after some seconds.

    Args:
        place: Its place.
        started: The started command.
        after_s: Seconds from now.
        how: ``KILL``, ``TERM`` or ``INT`` to the command alone; ``all``: SIGKILL to all processes at once, as when the
            machine stops; ``one``: SIGKILL to any process that the command has started.
        random: Chooses the process.

    Returns:
        A line that says what was done, for the message of a failed trial.
    """
    wait, poll, process = started
    deadline = time.monotonic() + after_s
    while poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    alive = place.processes()
    alone = [process] if poll() is None else []
    chosen = {"all": alive, "one": [random.choice(alive)] if alive else []}.get(how, alone)
    number = signal.Signals[f"SIG{how}"] if how in ("KILL", "TERM", "INT") else signal.SIGKILL
    for one in chosen:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, number)
    code = wait()
    return f"{how} after {after_s:.2f} s, exit code {code}"


def moments(seed: int, kills: int, lasts_s: float) -> Iterator[tuple[float, Random]]:
    """Yields random seconds of a command that lasts some seconds."""
    random = Random(seed)
    for _ in range(kills):
        yield random.uniform(0.02, 0.95) * lasts_s, random
