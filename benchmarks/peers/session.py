"""Session with the process of a competitor."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class CompetitorError(RuntimeError):
    """Failure, early end or timeout of a competitor; the message ends with its last line of output."""


class Session:
    """Context manager that starts a competitor's process, sends commands to it, and ends it on exit.

    Args:
        name: Name of the competitor, whose runner is ``benchmarks/peers/<name>_runner.py``.
        python: Interpreter of its environment.
        settings: Arguments of :class:`benchmarks.peers.serve.Settings`.
        errors: File for the output of the process.
        limit_s: Maximum number of seconds per answer.
    """

    def __init__(self, name: str, python: Path, settings: dict[str, Any], errors: Path, limit_s: float) -> None:
        self.name, self.errors, self.limit_s = name, errors, limit_s
        threads = str(settings["threads"])
        limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"), threads)
        if not python.exists():
            raise CompetitorError(
                f"{name} is not installed, because {python} does not exist; run benchmarks/peers/install.sh."
            )
        with errors.open("w", encoding="utf-8") as stream:
            self.process = subprocess.Popen(
                [str(python), "-m", f"benchmarks.peers.{name}_runner", json.dumps(settings)],
                cwd=settings["scratch"],  # RecBole writes folders into the working directory
                env={**os.environ, **limits, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
            )

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()

    def ask(self, command: str | None = None) -> dict[str, Any]:
        """Returns the answer to a command; None waits for the first answer, which needs no command.

        Raises:
            CompetitorError: If no answer arrives in time, or the answer is an error.
        """
        if command is not None:
            assert self.process.stdin is not None
            self.process.stdin.write(f"{command}\n".encode())
            self.process.stdin.flush()
        line = self._line(time.monotonic() + self.limit_s)
        try:
            answer: dict[str, Any] = json.loads(line)
        except json.JSONDecodeError as error:
            raise CompetitorError(f"{self.name} ended at {command or 'start'}: {self._last_line()}") from error
        if "error" in answer:
            raise CompetitorError(f"{self.name} failed at {command or 'start'}: {answer['error']}")
        return answer

    def _line(self, until_s: float) -> bytes:
        stream = self.process.stdout
        assert stream is not None
        line = b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([stream], [], [], max(0.0, until_s - time.monotonic()))
            if not ready:
                raise CompetitorError(f"{self.name} took more than {self.limit_s:.0f} s; raise --limit.")
            part = os.read(stream.fileno(), 65_536)
            if not part:
                break
            line += part
        return line

    def _last_line(self) -> str:
        text = self.errors.read_text("utf-8", "replace").strip()
        return text.splitlines()[-1] if text else f"exit status {self.process.wait()}, without output"
