"""Endings of the console script: exit codes and sentences."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable

import pytest

from seasonrec.cli import main as console
from seasonrec.disk import WriteError
from seasonrec.errors import UserError


def _raising(error: BaseException) -> Callable[..., int]:
    def command(name: str, arguments: list[str]) -> int:
        raise error

    return command


def _terminated(name: str, arguments: list[str]) -> int:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
    raise AssertionError("SIGTERM did not end it")


@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        (_raising(UserError("top_k must be above 0.")), 2, "seasonrec train: top_k must be above 0.\n"),
        (_raising(WriteError("a could not be written.")), 1, "seasonrec train: a could not be written.\n"),
        (_raising(OSError(errno.ENOSPC, "", "a.csv")), 1, "seasonrec train: a.csv could not be written (No space"),
        (_raising(OSError(errno.EROFS, "", "a.csv")), 1, "seasonrec train: a.csv could not be written (Read-only"),
        (_raising(KeyboardInterrupt()), 130, "seasonrec train: stopped\n"),
        (_terminated, 143, "seasonrec train: stopped by SIGTERM\n"),
    ],
)
def test_a_command_ends_with_a_code_and_a_sentence(
    command: Callable[..., int],
    code: int,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(console, "_command", command)
    assert console.main(["train"]) == code
    assert capsys.readouterr().err.startswith(told)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("error", [OSError(errno.ENOENT, ""), PermissionError(errno.EACCES, ""), KeyError("a")])
def test_a_mistake_of_the_program_keeps_its_traceback(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_command", _raising(error))
    with pytest.raises(type(error)):
        console.main(["train"])
