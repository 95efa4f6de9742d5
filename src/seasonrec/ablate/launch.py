"""Jobs as subprocesses, several in parallel; a job is one command for one or more cells."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import indent
from typing import Protocol

from seasonrec.ablate.cells import Cell
from seasonrec.ablate.state import index_baselines, is_complete

COMMAND = (sys.executable, "-P", "-m", "seasonrec.cli")
"""Program of a cell's command."""

POLL_S = 0.2
PATIENCE_S = 10.0
"""Seconds between SIGTERM and SIGKILL to a job."""

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""Terminal sequences that move the cursor or colour text."""

TAIL_LINES = 15
"""Lines of its log that a failure shows."""


@dataclass(frozen=True)
class Job:
    """One subprocess and its cells.

    Args:
        cells: Cells that the job completes.
        arguments: Arguments of the command.
        log: File that receives the output.
        environment: Variables in addition to those of the study.
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
        reason: Exit code or signal, as text.
        log: File with the whole output.
        tail: The last lines of the output.
    """

    cell: Cell
    reason: str
    log: Path
    tail: str

    def __str__(self) -> str:
        return f"{self.cell.label}: {self.reason}; log: {self.log}\n{indent(self.tail, '    ')}"


@dataclass(frozen=True)
class Running:
    """A job that was started.

    The output goes to the log file instead of a pipe, because a job outlives a killed study; the next run of the study
    waits for it. The job has its own process group, so that the processes it has started can be stopped with it.

    Args:
        job: The job.
        process: Its subprocess.
    """

    job: Job
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, job: Job, command: Sequence[str], keep_open: Sequence[int]) -> Running:
        """Starts a job.

        Args:
            job: The job.
            command: Program for the job's arguments.
            keep_open: File descriptors that the job inherits.
        """
        job.log.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **job.environment}
        with job.log.open("a", encoding="utf-8") as log:
            log.write(f"$ seasonrec {' '.join(job.arguments)}\n")
            log.flush()
            process = subprocess.Popen(
                [*command, *job.arguments],
                stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment, pass_fds=keep_open,
                start_new_session=True,
            )  # fmt: skip
        return cls(job, process)

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def failures(self) -> list[Failure]:
        """Returns the incomplete cells of a job that has ended."""
        code = self.process.wait()
        for cell in self.job.cells:
            if code == 0 and cell.kind == "baselines":
                index_baselines(cell)
        last = "\n".join(tail(self.job.log, TAIL_LINES))
        return [Failure(cell, _reason(code), self.job.log, last) for cell in self.job.cells if not is_complete(cell)]


class Watcher(Protocol):
    """An observer of jobs: of the beginning and end of each, and about five times per second in between."""

    def begin(self, job: Job) -> None: ...

    def poll(self) -> None: ...

    def end(self, job: Job, failures: Sequence[Failure]) -> None: ...


def run_jobs(
    jobs: Sequence[Job], at_once: int, start: Callable[[Job, int], Running], watcher: Watcher
) -> list[Failure]:
    """Runs all jobs, several in parallel, and returns the failures of their cells.

    Two jobs never work in one folder at once: trials of a trained run wait for the run, and later jobs may overtake
    them.

    Args:
        jobs: The jobs, in order.
        at_once: Number of parallel jobs.
        start: Starts a job in a slot, a number below ``at_once`` that no other running job has.
        watcher: Observer of the jobs.

    Raises:
        KeyboardInterrupt: Raised again after the running jobs were stopped; their checkpoints stay.
    """
    waiting, running, failures = list(jobs), dict[int, Running](), list[Failure]()
    try:
        while waiting or running:
            for slot in sorted(set(range(at_once)) - running.keys()):
                job = _next(waiting, running.values())
                if job is None:
                    break
                waiting.remove(job)
                watcher.begin(job)
                running[slot] = start(job, slot)
            watcher.poll()
            ended = [slot for slot, one in running.items() if one.ended]
            for one in map(running.pop, ended):
                failed = one.failures()
                watcher.end(one.job, failed)
                failures += failed
                for job in _dependent(waiting, failed):
                    waiting.remove(job)
                    watcher.begin(job)
                    skipped = [Failure(cell, "not started, because its run failed", job.log, "") for cell in job.cells]
                    watcher.end(job, skipped)
                    failures += skipped
            if not ended:
                time.sleep(POLL_S)
    except BaseException:
        _stop(list(running.values()))
        raise
    return failures


def _next(waiting: Sequence[Job], running: Iterable[Running]) -> Job | None:
    """Returns the first waiting job whose folders no running or earlier waiting job uses."""
    taken = {cell.folder for one in running for cell in one.job.cells}
    for job in waiting:
        folders = {cell.folder for cell in job.cells}
        if not folders & taken:
            return job
        taken |= folders
    return None


def _dependent(waiting: Sequence[Job], failed: Sequence[Failure]) -> list[Job]:
    """Returns the waiting trials of failed runs."""
    folders = {failure.cell.folder for failure in failed if failure.cell.kind == "train"}
    return [job for job in waiting if folders & {cell.folder for cell in job.cells}]


def _stop(running: Sequence[Running]) -> None:
    for one in running:
        _signal(one, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE_S
    for one in running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            one.process.wait(timeout=max(0.0, deadline - time.monotonic()))
        _signal(one, signal.SIGKILL)  # also to its workers
        one.process.wait()


def _signal(one: Running, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(one.process.pid, number)


def tail(path: Path, lines: int) -> list[str]:
    """Returns the last non-empty lines of a log; of a line that was drawn several times, the last text."""
    if not path.is_file():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 65_536))
        text = file.read().decode("utf-8", errors="replace")
    plain = ESCAPES.sub("", text)
    drawn = [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in plain.split("\n")]
    return [line for line in drawn if line.strip()][-lines:]


def _reason(code: int) -> str:
    if code < 0:
        return f"killed by signal {-code}"
    return f"exit code {code}" if code else "ended well but wrote no results"
