"""The peak memory of a run: of its process and of its GPU."""

from __future__ import annotations

import gc
import resource
import sys
from contextlib import suppress
from pathlib import Path

MIB = 1024 * 1024

Peaks = dict[str, float | None]
"""MiB by what was measured; None where there is nothing to measure."""

_FORGET = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def forget_peak() -> None:
    """Resets the count: one process may train several runs, as the workers of a sweep do.

    Linux forgets the peak of a process on demand (``5`` in ``clear_refs``, see proc(5)). Other systems, and containers
    that forbid it, do not; there the peak is that of all runs of the process so far.
    """
    import torch

    gc.collect()
    with suppress(OSError):
        _FORGET.write_text("5")
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> Peaks:
    """Peaks since :func:`forget_peak`, MiB.

    Returns:
        ``peak_memory_mib``, the resident memory of the process, and ``peak_gpu_memory_mib``, what torch had allocated
        at once on the GPU; None without one.
    """
    import torch

    on_gpu = round(torch.cuda.max_memory_allocated() / MIB, 1) if torch.cuda.is_available() else None
    return {"peak_memory_mib": round(peak_bytes() / MIB, 1), "peak_gpu_memory_mib": on_gpu}


def highest(first: Peaks, second: Peaks) -> Peaks:
    """Returns the higher of two peaks of each kind: those of the parts of a run that was killed between them."""
    found = {key: (first.get(key), second.get(key)) for key in first | second}
    return {key: max((peak for peak in both if peak is not None), default=None) for key, both in found.items()}


def peak_bytes() -> int:
    """Returns the peak of the resident memory of this process.

    On Linux ``ru_maxrss`` of a process that another one started is at least the memory of that other one, so that the
    peak is read from ``VmHWM`` (proc(5)) where there is one.
    """
    with suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
