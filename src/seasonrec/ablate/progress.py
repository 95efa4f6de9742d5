"""What a person sees while a study runs: which cell of how many, how long so far, how long still."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn

from seasonrec.ablate.cells import Cell
from seasonrec.ablate.launch import Failure, Job, tail
from seasonrec.ablate.state import is_complete

HEARTBEAT_S = 30.0
"""Seconds between two lines where the output is no terminal."""


def spell(seconds: float) -> str:
    """Seconds as a person says them: 45s, 3m 05s, 1h 02m."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"


class StudyProgress:
    """One line that is drawn over on a terminal, and one printed line now and then elsewhere.

    Args:
        total: Cells of the study, those that are skipped included.
        done: Cells that were complete before.
        console: Where to draw.
    """

    def __init__(self, total: int, done: int, console: Console) -> None:
        self._total, self._done, self._console = total, done, console
        self._durations_s: list[float] = []
        self._job_started_s = self._spoke_s = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[times]}"),
            TextColumn("[dim]{task.fields[last]}"), console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task("study", total=total, completed=done, times="", last="")

    def __enter__(self) -> StudyProgress:
        if self._done:
            self._say(f"{self._done} of {_count(self._total, 'cell')} complete already")
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begin(self, job: Job) -> None:
        """Announces a job."""
        self._job_started_s = self._spoke_s = time.monotonic()
        if not self._console.is_terminal:  # a terminal has its line already
            self._say(f"{self._head(job)} ...")

    def poll(self, job: Job) -> None:
        """Redraws the line; where there is no terminal, speaks every ``HEARTBEAT_S`` seconds."""
        now_s, finished = time.monotonic(), self._done + _complete(job)
        last = " ".join(tail(job.log, 1))[:80]
        head, times = self._head(job), f"{spell(now_s - self._job_started_s)}, {self._left(job)}"
        self._bar.update(self._task, completed=finished, description=escape(head), times=times, last=escape(last))
        if not self._console.is_terminal and now_s - self._spoke_s > HEARTBEAT_S:
            self._spoke_s = now_s
            self._say(f"{head}: {times} | {last}")

    def end(self, job: Job, failures: Sequence[Failure]) -> None:
        """Counts a job as done and says how it ended."""
        seconds = time.monotonic() - self._job_started_s
        if any(cell.kind == "train" for cell in job.cells):
            self._durations_s.append(seconds / len(job.cells))
        head = self._head(job)
        self._done += len(job.cells)
        verdict = f"{_count(len(failures), 'cell')} failed ({failures[0].reason})" if failures else "done"
        self._say(f"{head}: {verdict} in {spell(seconds)}, {self._left(None)}")

    def _say(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _head(self, job: Job) -> str:
        first, last = self._done + 1, self._done + len(job.cells)
        which = f"cell {first}" if first == last else f"cells {first}-{last}"
        return f"{which} of {self._total}, {_label(job.cells)}"

    def _left(self, job: Job | None) -> str:
        """Expected seconds to the end, from the mean of the cells that this run has finished."""
        if self._done >= self._total:
            return "nothing left"
        spent_s = 0.0 if job is None else time.monotonic() - self._job_started_s
        complete = 0 if job is None else _complete(job)
        if complete:
            mean = spent_s / complete
            return f"{complete} complete, about {spell(mean * (self._total - self._done - complete))} left"
        if not self._durations_s:
            return "time left not known yet"
        mean = sum(self._durations_s) / len(self._durations_s)
        running = 0 if job is None else len(job.cells)
        return f"about {spell(mean * (self._total - self._done) - min(spent_s, mean * running))} left"


def _complete(job: Job) -> int:
    """Cells of a shared job that are complete; a job of one cell ends with it."""
    return sum(map(is_complete, job.cells)) if len(job.cells) > 1 else 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _label(cells: Sequence[Cell]) -> str:
    if len(cells) == 1:
        return cells[0].label
    rows = ", ".join(dict.fromkeys(cell.row for cell in cells))
    return f"{rows}, seeds {', '.join(str(seed) for seed in sorted({cell.seed for cell in cells}))}"
