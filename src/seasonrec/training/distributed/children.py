"""Processes that the first process of a run starts: their connection, their failures, and their end with the first."""

from __future__ import annotations

import multiprocessing.connection
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NoReturn

from torch import distributed

from seasonrec.atomic import temporary_folder
from seasonrec.batches.sharding import Shard
from seasonrec.errors import UserError
from seasonrec.terminal import plain

PATIENCE = timedelta(hours=2)
"""Longest time that a process waits for the others, for example while the first prepares the data."""

LEAVE_S = 60.0
"""Longest wait for the exit code of a process after its connection is lost."""

START_POLL_S = 0.05

LOST_S = 5.0
"""Longest wait for the end of the first process after the connection to it is lost."""

Work = Callable[[Shard], None]
"""Work of every process: a function at the top level of a module or a partial of one, because it is pickled."""


class ProcessError(UserError):
    """Failure of a process of a run."""

    exit_code = 1


def work_with_children(work: Work, world_size: int, backend: str) -> None:
    """Runs the work in this process, the first, and in others that it starts and ends.

    Args:
        work: Called with the shard of each process.
        world_size: Number of processes.
        backend: Backend of the connection.

    Raises:
        ProcessError: If one of the others failed.
    """
    os.environ.setdefault("PYTHONSAFEPATH", "1")  # the working folder is no place for the modules of a process
    spawning = multiprocessing.get_context("spawn")  # a fork would inherit the locks of torch's threads
    with temporary_folder(Path(tempfile.gettempdir()), of_others=False) as folder:
        meeting = f"file://{folder}/meeting"  # a port could be taken by another run that starts at the same time
        children: list[BaseProcess] = [
            spawning.Process(target=_child, args=(work, Shard(rank, world_size), backend, folder), daemon=True)
            for rank in range(1, world_size)
        ]
        try:
            with _signals_later():
                for child in children:
                    child.start()
            _wait_for_start(children, folder)
            first = Shard(0, world_size)
            with connected(first, backend, meeting), _ending(children), _naming_failed_child(children):
                work(first)
            for child in children:
                child.join()
            _refuse_failed(children, None)
        finally:
            _kill(children)


def _child(work: Work, shard: Shard, backend: str, folder: Path) -> None:
    """Works in a process that ends with the first one."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    (folder / str(shard.rank)).touch()
    threading.Thread(target=_leave_after, args=(parent, shard, folder), daemon=True).start()
    try:
        with connected(shard, backend, f"file://{folder}/meeting"):
            work(shard)
    except UserError as error:
        print(plain(f"process {shard.rank} of the run: {error}"), file=sys.stderr, flush=True)
        raise SystemExit(error.exit_code) from None
    except RuntimeError:
        if multiprocessing.connection.wait([parent.sentinel], LOST_S):  # the connection was lost with the first process
            _leave_after(parent, shard, folder)
        raise


def _leave_after(first: BaseProcess, shard: Shard, folder: Path) -> NoReturn:
    """Waits for the end of the first process and ends this one, which nobody else would end after a kill."""
    multiprocessing.connection.wait([first.sentinel])
    shutil.rmtree(folder, ignore_errors=True)
    told = "the first process has ended; start the run again in the same folder to continue from its last checkpoint"
    print(f"process {shard.rank} of the run ends, because {told}", file=sys.stderr, flush=True)
    os._exit(1)


@contextmanager
def _signals_later() -> Iterator[None]:
    """Holds SIGINT and SIGTERM back; processes that the block starts never receive them: the first ends them."""
    resource_tracker.ensure_running()  # its start would let them through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wait_for_start(children: list[BaseProcess], folder: Path) -> None:
    """Waits until every child has started.

    Raises:
        ProcessError: If one ends before; the connection would be waited for in vain.
    """
    while not all((folder / str(rank)).exists() for rank in range(1, len(children) + 1)):
        _refuse_failed(children, None)
        multiprocessing.connection.wait([child.sentinel for child in children], START_POLL_S)


@contextmanager
def _ending(children: list[BaseProcess]) -> Iterator[None]:
    """Ends the children of a first process that fails while they are connected; they would report a lost connection."""
    try:
        yield
    except BaseException:
        _kill(children)
        raise


def _kill(children: list[BaseProcess]) -> None:
    """Ends the children; they write no files, and in a wait for the others they would not see SIGTERM."""
    for child in children:
        if child.pid is not None:
            child.kill()
            child.join()


@contextmanager
def connected(shard: Shard, backend: str, meeting: str) -> Iterator[None]:
    """Connects this process with the others for the block."""
    distributed.init_process_group(
        backend, init_method=meeting, rank=shard.rank, world_size=shard.world_size, timeout=PATIENCE
    )
    try:
        yield
    finally:
        distributed.destroy_process_group()


@contextmanager
def _naming_failed_child(children: list[BaseProcess]) -> Iterator[None]:
    """Replaces the connection error of the first process by the failure of the child that caused it."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, distributed.DistError) or "gloo" in str(error):  # gloo raises no class of its own
            ended = multiprocessing.connection.wait([child.sentinel for child in children], LEAVE_S)
            for child in children:
                if child.sentinel in ended:
                    child.join()  # the exit code may be known later than the sentinel
            _refuse_failed(children, error)
        raise


def _refuse_failed(children: list[BaseProcess], error: Exception | None) -> None:
    for rank, child in enumerate(children, start=1):
        if child.exitcode:
            how = f"signal {-child.exitcode}" if child.exitcode < 0 else f"exit code {child.exitcode}"
            raise ProcessError(
                f"process {rank} of the run ended with {how}; its own error stands above. Start the run again in the "
                "same folder to continue from its last checkpoint."
            ) from error
