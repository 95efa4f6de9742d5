"""Several processes of one run: who starts them, and the order of their work."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from lightning.fabric.plugins.environments import ClusterEnvironment, SLURMEnvironment, TorchElasticEnvironment
from torch import Tensor, distributed

from seasonrec.batches.sharding import WHOLE, Shard
from seasonrec.errors import UserError
from seasonrec.training.distributed.children import Work, connected, work_with_children


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
        with connected(shard, backend, "env://"):
            work(shard)
    else:
        work_with_children(work, devices, backend)


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
