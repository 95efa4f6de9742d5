"""Shares of cores and GPUs for cells that run in parallel."""

from __future__ import annotations

import os

import torch
from joblib import cpu_count

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")


def thread_share(at_once: int | None) -> dict[str, str]:
    """Returns variables that share the cores out: more threads than cores would wait for each other at every barrier.

    Args:
        at_once: Cells side by side; None where only the launcher knows how many, and each gets one thread.

    Returns:
        Threads of each cell, at least one, by variable; those that the user has set are left out.
    """
    threads = str(max(1, cpu_count() // at_once) if at_once else 1)
    return {name: threads for name in THREAD_VARIABLES if name not in os.environ}


def gpu_share(slot: int, devices: int) -> dict[str, str]:
    """Returns the GPUs that a cell sees, where there are more than it takes; each would otherwise take the first.

    Args:
        slot: Number of the cell among those side by side, from 0. Cells take turns where the GPUs do not suffice.
        devices: GPUs that it takes.
    """
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    visible = named.split(",") if named else [str(number) for number in range(torch.cuda.device_count())]
    if len(visible) <= devices:
        return {}
    own = [visible[(slot * devices + number) % len(visible)] for number in range(devices)]
    return {"CUDA_VISIBLE_DEVICES": ",".join(own)}
