"""Progress of a running study: complete cells, elapsed time and remaining time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from seasonrec.ablate.cells import Cell
from seasonrec.ablate.launch import Failure, Job, tail
from seasonrec.ablate.state import is_complete
from seasonrec.terminal import plain

HEARTBEAT_S = 30.0
"""Seconds between two lines about a job where the output is not a terminal."""


def spell(seconds: float) -> str:
    """Returns a duration as 45s, 3m 05s or 1h 02m."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"


def say(console: Console, text: str, style: str | None = None) -> None:
    """Prints text as it is, without markup or line breaks of its own."""
    console.print(plain(text), markup=False, highlight=False, soft_wrap=True, style=style)


class StudyProgress:
    """A bar for the study and one for each running job; where the output is not a terminal, a line from time to time.

    Args:
        total: Cells of the study, including the skipped ones.
        done: Cells that were complete before.
        console: Output.
    """

    def __init__(self, total: int, done: int, console: Console) -> None:
        self._total, self._console = total, console
        self._skipped, self._begun, self._ended = done, done, done
        self._running: dict[Path, _Line] = {}
        self._pace = _Pace()
        self._bars = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[times]}"),
            TextColumn("[dim]{task.fields[last]}"), console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self._whole = self._bars.add_task("study", total=total, completed=done, times="", last="")

    def __enter__(self) -> StudyProgress:
        if self._skipped:
            self._say(f"{self._skipped} of {_count(self._total, 'cell')} complete already")
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def begin(self, job: Job) -> None:
        """Announces a job."""
        first, self._begun = self._begun + 1, self._begun + len(job.cells)
        which = f"cell {first}" if first == self._begun else f"cells {first}-{self._begun}"
        head = f"{which} of {self._total}, {_label(job.cells)}"
        several = len(job.cells) > 1
        bar = self._bars.add_task(escape(plain(head)), total=len(job.cells) if several else None, times="", last="")
        now_s = time.monotonic()
        self._running[job.log] = _Line(job, head, bar, started_s=now_s, spoke_s=now_s)
        if any(cell.kind != "baselines" for cell in job.cells):
            self._pace.start()
        if not self._console.is_terminal:  # a terminal has its line already
            self._say(f"{head} ...")

    def poll(self) -> None:
        """Redraws the bars; without a terminal, prints a line for each job every ``HEARTBEAT_S`` seconds."""
        now_s = time.monotonic()
        within = {log: line.complete() for log, line in self._running.items()}
        self._pace.reach(self._ended - self._skipped + sum(within.values()))
        self._bars.update(self._whole, completed=self._ended + sum(within.values()), times=self._left())
        for log, line in self._running.items():
            last, spent = " ".join(tail(log, 1))[:80], spell(now_s - line.started_s)
            self._bars.update(line.bar, completed=within[log], times=spent, last=escape(plain(last)))
            if not self._console.is_terminal and now_s - line.spoke_s > HEARTBEAT_S:
                line.spoke_s = now_s
                inside = f"{within[log]} complete, " if len(line.job.cells) > 1 else ""
                self._say(f"{line.head}: {spent}, {inside}{self._left()} | {last}")

    def end(self, job: Job, failures: Sequence[Failure]) -> None:
        """Counts a job as done and prints its result."""
        line = self._running.pop(job.log)
        self._bars.remove_task(line.bar)
        self._ended += len(job.cells)
        if any(cell.kind == "baselines" for cell in job.cells):
            self._skipped += len(job.cells)  # does not predict the time of a training run
        self._pace.reach(self._ended - self._skipped)
        verdict = f"{_count(len(failures), 'cell')} failed ({failures[0].reason})" if failures else "done"
        self._say(f"{line.head}: {verdict} in {spell(time.monotonic() - line.started_s)}, {self._left()}")

    def _say(self, line: str) -> None:
        say(self._console, line)

    def _left(self) -> str:
        remaining = self._total - self._skipped - self._pace.finished
        return "nothing left" if remaining <= 0 else self._pace.left(remaining)


@dataclass
class _Line:
    """The state of a running job."""

    job: Job
    head: str
    bar: TaskID
    started_s: float
    spoke_s: float

    def complete(self) -> int:
        """Returns the number of complete cells of a job with several cells."""
        return sum(map(is_complete, self.job.cells)) if len(self.job.cells) > 1 else 0


class _Pace:
    """The rate of finished cells, which predicts the remaining time with any number of parallel jobs."""

    def __init__(self) -> None:
        self.finished = 0
        self._started_s: float | None = None
        self._reached_s = 0.0

    def start(self) -> None:
        if self._started_s is None:
            self._started_s = time.monotonic()

    def reach(self, finished: int) -> None:
        if finished > self.finished:
            self.finished, self._reached_s = finished, time.monotonic()

    def left(self, remaining: int) -> str:
        if not self.finished or self._started_s is None:
            return "time left not known yet"
        at_last_s = (self._reached_s - self._started_s) / self.finished * remaining
        return f"about {spell(max(0.0, at_last_s - (time.monotonic() - self._reached_s)))} left"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _label(cells: Sequence[Cell]) -> str:
    if len(cells) == 1:
        return cells[0].label
    rows = ", ".join(dict.fromkeys(cell.row for cell in cells))
    return f"{rows}, seeds {', '.join(str(seed) for seed in sorted({cell.seed for cell in cells}))}"
