"""Shares of cores and GPUs for cells that run in parallel."""

from __future__ import annotations

import os

import torch
from joblib import cpu_count

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")


def thread_share(at_once: int | None) -> dict[str, str]:
    """Returns environment variables that divide the cores among parallel cells.

    More threads than cores would wait for each other at every barrier.

    Args:
        at_once: Parallel cells; None where only the launcher knows their number, which gives each cell one thread.

    Returns:
        Threads of each cell by variable, without the variables that the user has set.
    """
    threads = str(max(1, cpu_count() // at_once) if at_once else 1)
    return {name: threads for name in THREAD_VARIABLES if name not in os.environ}


def gpu_share(slot: int, devices: int) -> dict[str, str]:
    """Returns the environment variable that gives a cell its own GPUs; nothing where it needs all of them.

    Without it, every parallel cell would take the first GPU.

    Args:
        slot: Number of the cell among the parallel ones, from 0. Cells share GPUs where there are too few.
        devices: GPUs of the cell.
    """
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    visible = named.split(",") if named else [str(number) for number in range(torch.cuda.device_count())]
    if len(visible) <= devices:
        return {}
    own = [visible[(slot * devices + number) % len(visible)] for number in range(devices)]
    return {"CUDA_VISIBLE_DEVICES": ",".join(own)}
