"""Several processes of one run: their start, connection, and failures."""

from __future__ import annotations

import multiprocessing.connection
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NoReturn

from lightning.fabric.plugins.environments import ClusterEnvironment, SLURMEnvironment, TorchElasticEnvironment
from torch import Tensor, distributed

from seasonrec.atomic import temporary_folder
from seasonrec.batches.sharding import WHOLE, Shard
from seasonrec.errors import UserError
from seasonrec.terminal import plain

PATIENCE = timedelta(hours=2)
"""Longest time that a process waits for the others, for example while the first prepares the data."""

LEAVE_S = 60.0
"""Longest wait for the exit code of a process after its connection is lost."""

LOST_S = 5.0
"""Longest wait for the end of the first process after the connection to it is lost."""

Work = Callable[[Shard], None]
"""Work of every process: a function at the top level of a module or a partial of one, because it is pickled."""


class ProcessError(UserError):
    """Failure of a process of a run."""


class RunProcesses(ClusterEnvironment):
    """Rank and number of processes for Lightning, which then starts no process itself.

    Args:
        devices: Processes on each machine.
    """

    def __init__(self, devices: int) -> None:
        super().__init__()
        self.devices = devices

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return os.environ.get("MASTER_ADDR", "127.0.0.1")

    @property
    def main_port(self) -> int:
        return int(os.environ.get("MASTER_PORT", 0))  # not used, because the processes are connected already

    @staticmethod
    def detect() -> bool:
        return distributed.is_available() and distributed.is_initialized()

    def world_size(self) -> int:
        return Shard.current().world_size

    def set_world_size(self, size: int) -> None:
        pass

    def global_rank(self) -> int:
        return Shard.current().rank

    def set_global_rank(self, rank: int) -> None:
        pass

    def local_rank(self) -> int:
        return self.global_rank() % self.devices

    def node_rank(self) -> int:
        return self.global_rank() // self.devices


def run_everywhere(work: Work, devices: int, num_nodes: int, on_gpu: bool) -> None:
    """Runs the work in every process of a run.

    Unless ``torchrun`` or ``srun`` started one process per device, this process is the first and starts the others.

    Args:
        work: Called with the shard of each process.
        devices: Processes on each machine.
        num_nodes: Machines.
        on_gpu: Whether the processes exchange tensors of GPUs.

    Raises:
        ProcessError: If a process failed.
        ValueError: If the number of processes differs from the options.
    """
    shard = _started_as(devices, num_nodes)
    backend = "cpu:gloo,cuda:nccl" if on_gpu else "gloo"
    if devices * num_nodes == 1:
        work(WHOLE)
    elif shard is not None:
        with _connected(shard, backend, "env://"):
            work(shard)
    else:
        _with_children(work, devices, backend)


@contextmanager
def first_alone(shard: Shard) -> Iterator[None]:
    """Runs the block in the first process before the others, which can then read its files."""
    if not shard.is_first:
        distributed.barrier()
    yield
    if shard.is_first and shard.world_size > 1:
        distributed.barrier()


@contextmanager
def only_first_speaks(shard: Shard) -> Iterator[None]:
    """Silences the standard output of all processes but the first; errors of every process are shown."""
    if shard.is_first:
        yield
        return
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        yield


def wait_for_all(shard: Shard) -> None:
    """Waits until every process has reached this call."""
    if shard.world_size > 1:
        distributed.barrier()


def take_from_first(tensors: Iterable[Tensor]) -> None:
    """Replaces tensors by those of the first process; a fit may round differently in each."""
    if distributed.is_initialized():
        for tensor in tensors:
            distributed.broadcast(tensor, src=0)


def _started_as(devices: int, num_nodes: int) -> Shard | None:
    """Returns the shard of this process if a launcher started all processes, else None."""
    wanted = devices * num_nodes
    found: ClusterEnvironment | None = None
    if TorchElasticEnvironment.detect():
        found = TorchElasticEnvironment()
    elif wanted > 1 and SLURMEnvironment.detect() and SLURMEnvironment().world_size() > 1:
        found = SLURMEnvironment()
        os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = found.main_address, str(found.main_port)
    world_size = 1 if found is None else found.world_size()
    if found is not None and world_size != wanted:
        raise UserError(
            f"the run was started in {world_size} processes, but trainer.devices={devices} and "
            f"trainer.num_nodes={num_nodes} ask for {wanted}; make them agree."
        )
    if found is None and num_nodes > 1:
        raise UserError(
            f"trainer.num_nodes={num_nodes} needs a process for each device on every machine; start the command with "
            f"torchrun --nnodes {num_nodes} --nproc-per-node {devices}, or with srun."
        )
    return None if found is None or wanted == 1 else Shard(found.global_rank(), world_size)


def _with_children(work: Work, world_size: int, backend: str) -> None:
    os.environ.setdefault("PYTHONSAFEPATH", "1")  # the working folder is no place for the modules of a process
    spawning = multiprocessing.get_context("spawn")  # a fork would inherit the locks of torch's threads
    with temporary_folder(Path(tempfile.gettempdir()), of_others=False) as folder:
        meeting = f"file://{folder}/meeting"  # a port could be taken by another run that starts at the same time
        children: list[BaseProcess] = [
            spawning.Process(target=_child, args=(work, Shard(rank, world_size), backend, folder), daemon=True)
            for rank in range(1, world_size)
        ]
        for child in children:
            child.start()
        try:
            first = Shard(0, world_size)
            with _connected(first, backend, meeting), _ending(children), _naming_failed_child(children):
                work(first)
            for child in children:
                child.join()
            _refuse_failed(children, None)
        finally:
            _kill(children)


def _child(work: Work, shard: Shard, backend: str, folder: Path) -> None:
    """Works in a process that ends with the first one, which alone receives signals and tells failures of its own."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_leave_after, args=(parent, shard, folder), daemon=True).start()
    try:
        with _connected(shard, backend, f"file://{folder}/meeting"):
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
        child.kill()
        child.join()


@contextmanager
def _connected(shard: Shard, backend: str, meeting: str) -> Iterator[None]:
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
