"""Endings of a command: its exit code, and one sentence where the user or the machine is at fault."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from seasonrec.cli.jobs import RefusedAlone, failed
from seasonrec.errors import UserError
from seasonrec.terminal import plain


def run_to_end(name: str, run: Callable[[], int]) -> int:
    """Runs a command and returns its exit code.

    SIGTERM ends it as Ctrl-C does: temporary files are removed, and started processes are stopped.

    Args:
        name: Name of the command, for the sentence.
        run: The command; returns its exit code.
    """
    try:
        with _terminable():
            code = run()
            sys.stdout.flush()
            return code
    except BrokenPipeError:  # the reader of the output has ended, for example head -1
        _forget_output()
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return _told(name, "stopped", 128 + signal.SIGINT)  # the code of a shell after Ctrl-C
    except Terminated as stopped:
        return _told(name, "stopped by SIGTERM", int(str(stopped)))
    except (RefusedAlone, UserError) as error:
        return _told(name, str(error), error.exit_code)
    except OSError as error:
        told = failed(error)
        if told is None:
            raise
        return _told(name, str(told), told.exit_code)


class Terminated(SystemExit):
    """SIGTERM, which ``kill`` or a cluster sends."""


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Raises on SIGTERM, which would otherwise end the process at once and leave its temporary files."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Terminated(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _told(name: str, text: str, code: int) -> int:
    """Prints a sentence and returns the exit code; both streams may lie on a full disk."""
    try:
        sys.stdout.flush()
    except OSError:
        _forget_output()
    with contextlib.suppress(OSError):
        print(plain(f"seasonrec {name}: {text}"), file=sys.stderr)
    return code


def _forget_output() -> None:
    """Leads the standard output nowhere, because the interpreter flushes it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
