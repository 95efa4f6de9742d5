"""Times of alternating jobs, and rates that the machine reaches at the same time."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from seasonrec.models.kernels.matmul import linear

RESULTS = Path(__file__).resolve().parent / "results"
ROWS, INNER = 512, 8192
"""Sizes of the matrices ``(ROWS, INNER)`` and ``(INNER, ROWS)`` whose product gives the rate of the machine. The result
is small, so that no time is spent on new memory."""
COPIED = 2**24
"""Number of copied floats, 64 MiB, which exceed the caches."""


def in_turns(jobs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Returns the seconds of each job in each round.

    Jobs alternate, so that other processes slow them equally. Each job runs once before the timing.
    """
    for job in jobs.values():
        job()
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            begun_s = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - begun_s)
    return seconds


@dataclass(frozen=True)
class Rates:
    """Rates of the machine in its best round.

    Args:
        flops: Float32 operations per second in a large matrix product.
        bytes: Bytes per second, read and written, in a large copy.
    """

    flops: float
    bytes: float


class RateProbe:
    """Jobs that measure :class:`Rates` and alternate with other work.

    The faster of torch's two libraries computes the matrix product, see ``seasonrec.models.kernels.matmul``.
    """

    def __init__(self) -> None:
        self._left, self._right = torch.randn(ROWS, INNER), torch.randn(ROWS, INNER)
        self._from, self._to = torch.randn(COPIED), torch.empty(COPIED)

    def jobs(self) -> dict[str, Callable[[], object]]:
        return {
            "matmul": self._multiply,
            "copy": lambda: self._to.copy_(self._from),
        }

    def _multiply(self) -> object:
        with torch.no_grad():
            return linear(self._left, self._right)

    @staticmethod
    def rates(seconds: Mapping[str, Sequence[float]]) -> Rates:
        """Returns the rates from the seconds of :meth:`jobs` in :func:`in_turns`."""
        return Rates(2 * ROWS * ROWS * INNER / min(seconds["matmul"]), 2 * 4 * COPIED / min(seconds["copy"]))


def ratio(slower: Sequence[float], faster: Sequence[float]) -> dict[str, float]:
    """Returns how many times faster a job is: the median and the quartiles over the rounds."""
    ratios = [a / b for a, b in zip(slower, faster, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return {"ratio": round(middle, 3), "ratio_low": round(low, 3), "ratio_high": round(high, 3)}


def machine() -> dict[str, Any]:
    """Returns a description of the machine."""
    return {"cores": os.cpu_count(), "threads": torch.get_num_threads(), "torch": torch.__version__, **_processor()}


def save(name: str, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Writes rows to ``benchmarks/results/<name>``, each with a description of the machine."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / name
    written = path.with_suffix(".tmp")
    written.write_text(json.dumps([{**row, "machine": machine()} for row in rows], indent=1) + "\n", encoding="utf-8")
    written.replace(path)
    return path


def _processor() -> dict[str, str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {"processor": names[0]} if names else {}
