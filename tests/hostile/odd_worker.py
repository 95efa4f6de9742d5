"""Process that runs studies of odd logs, each in a forked copy of itself, so that torch is imported once.

Reads lines of JSON ``{"work": FOLDER, "arguments": [...]}`` from standard input, and writes for each
``{"code": ..., "peak_mib": ..., "cpu_s": ...}``; the output of a study goes to ``FOLDER/output.txt``. The peak is that
of the copy, which begins with the modules of its parent.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import seasonrec.commands.evaluate
import seasonrec.commands.train
from seasonrec.ablate import entry
from seasonrec.ablate.launch import Job, Running
from seasonrec.cli.main import main

assert seasonrec.commands.evaluate
assert seasonrec.commands.train


class Ended:
    """A process of a cell that has ended."""

    pid = 0

    def __init__(self, code: int) -> None:
        self.code = code

    def poll(self) -> int:
        return self.code

    def wait(self, timeout: float = 0.0) -> int:
        return self.code


def run_here(job: Job, command: Sequence[str], keep_open: Sequence[int]) -> Running:
    """Runs a cell's command in this process, whose memory is measured."""
    job.log.parent.mkdir(parents=True, exist_ok=True)
    job.log.write_text("")
    return Running(job, Ended(main(list(job.arguments))))  # type: ignore[arg-type]


def run(work: Path, arguments: list[str]) -> None:
    """Runs one command in the forked copy, and ends it with the command's exit code."""
    code = 1
    try:
        output = os.open(work / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        Running.start = run_here  # type: ignore[assignment,method-assign]
        code = main(arguments)
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
        code = 70
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def answer(task: dict[str, Any]) -> dict[str, Any]:
    child = os.fork()
    if not child:
        run(Path(task["work"]), task["arguments"])
    _, status, used = os.wait4(child, 0)
    assert isinstance(used, resource.struct_rusage)
    code = os.waitstatus_to_exitcode(status)
    return {"code": code, "peak_mib": used.ru_maxrss // 1024, "cpu_s": round(used.ru_utime + used.ru_stime, 1)}


if __name__ == "__main__":
    assert entry
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
