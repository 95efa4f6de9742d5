"""Runs jobs as subprocesses: a job is one command and the cells that it owes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seasonrec.ablate.cells import Cell
from seasonrec.ablate.state import index_baselines, is_complete

COMMAND = (sys.executable, "-m", "seasonrec.cli")
"""What a cell's arguments are given to."""

POLL_S = 0.2
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""What moves a terminal's cursor or colours its text."""

TAIL_LINES = 15
"""Last lines of its log that a failure is shown with."""


@dataclass(frozen=True)
class Job:
    """One subprocess and what it owes.

    Args:
        cells: Cells that are complete when the job is done.
        arguments: Written after the command.
        log: File that the output is appended to.
        environment: Variables that the job needs besides those of the study.
    """

    cells: tuple[Cell, ...]
    arguments: tuple[str, ...]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """A cell that was run and is not complete.

    Args:
        cell: The cell.
        reason: Exit code or signal, in words.
        log: Where the whole output lies.
        tail: The last lines of the output.
    """

    cell: Cell
    reason: str
    log: Path
    tail: str

    def __str__(self) -> str:
        return f"{self.cell.label}: {self.reason}; log: {self.log}\n" + "\n".join(
            f"    {line}" for line in self.tail.splitlines()
        )


def run_job(job: Job, command: Sequence[str], keep_open: Sequence[int], on_poll: Callable[[], None]) -> list[Failure]:
    """Runs a job to its end and says which of its cells are not complete.

    The output goes straight to the log file, not through a pipe: a job outlives a study that is killed, and the next
    run of the study waits for it.

    Args:
        job: The job.
        command: Program that takes the job's arguments.
        keep_open: File descriptors that the job inherits.
        on_poll: Called about five times a second while the job runs.

    Raises:
        KeyboardInterrupt: Passed on after the job was stopped; its checkpoint stays.
    """
    job.log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **job.environment}
    with job.log.open("a", encoding="utf-8") as log:
        log.write(f"$ seasonrec {' '.join(job.arguments)}\n")
        log.flush()
        process = subprocess.Popen(
            [*command, *job.arguments],
            stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment, pass_fds=keep_open,
        )  # fmt: skip
        code = _wait(process, on_poll)
    for cell in job.cells:
        if code == 0 and cell.kind == "baselines":
            index_baselines(cell)
    return [
        Failure(cell, _reason(code), job.log, "\n".join(tail(job.log, TAIL_LINES)))
        for cell in job.cells
        if not is_complete(cell)
    ]


def tail(path: Path, lines: int) -> list[str]:
    """The last non-empty lines of a log; a line that was drawn over counts as it was last drawn."""
    if not path.is_file():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 65_536))
        text = file.read().decode("utf-8", errors="replace")
    plain = ESCAPES.sub("", text)
    drawn = [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in plain.split("\n")]
    return [line for line in drawn if line.strip()][-lines:]


def _wait(process: subprocess.Popen[bytes], on_poll: Callable[[], None]) -> int:
    try:
        while process.poll() is None:
            on_poll()
            time.sleep(POLL_S)
    except BaseException:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
        raise
    return int(process.returncode)


def _reason(code: int) -> str:
    if code < 0:
        return f"killed by signal {-code}"
    return f"exit code {code}" if code else "ended well but wrote no results"
