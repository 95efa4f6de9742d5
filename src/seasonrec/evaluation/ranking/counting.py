"""Counts of the candidates above and equal to every target, by the fastest method for each request."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

COMPARISONS_AT_ONCE = 2**23
"""Comparisons held in memory at once on an accelerator: 32 MiB of float32, and a copy of the rows."""
FLAGS_AT_ONCE = 2**18
"""Comparisons held at once on a CPU: 256 KiB, to stay in the cache."""
ITEMS_A_COMPARISON = 1_000
"""Items per target below which a row is sorted once; see ``benchmarks/ranking.py``."""
COMPARISONS_A_THREAD = 2**22
"""Comparisons per thread; with fewer, another thread costs more than it saves."""

Counts = NDArray[np.int32]


def count_above_and_level(scores: Tensor, target_request: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
    """Counts, for every target, the scores of its request that are greater, and those that are equal.

    On a CPU the rows are compared in place, request by request, because a copy of the row for every target costs ten
    times the comparison.

    Args:
        scores: ``(N, V)`` float32 without NaN.
        target_request: ``(M,)`` int64, the row of each target.
        own: ``(M,)`` float32, the score of each target.

    Returns:
        ``(greater, level)``, both ``(M,)`` int32 on the device of the scores.
    """
    if scores.device.type != "cpu":
        return count_gathered(scores, target_request, own)
    request = target_request.numpy()
    order = np.argsort(request, kind="stable")
    stops = np.searchsorted(request[order], np.arange(len(scores) + 1))
    counts = np.empty((2, len(own)), dtype=np.int32)
    counts[:, order] = _count_rows(scores.detach().numpy(), own.detach().numpy()[order], stops.tolist())
    return torch.from_numpy(counts[0]), torch.from_numpy(counts[1])


def _count_rows(scores: NDArray[np.float32], own: NDArray[np.float32], stops: list[int]) -> Counts:
    """Returns ``(2, M)`` counts of targets sorted by request; those of request ``n`` lie between ``stops[n:n + 2]``."""
    counts = np.zeros((2, len(own)), dtype=np.int32)

    def count(rows: range) -> None:
        for row in rows:
            start, stop = stops[row], stops[row + 1]
            if start < stop:
                _count_row(scores[row], own[start:stop], counts[:, start:stop])

    threads = min(torch.get_num_threads(), 1 + len(own) * scores.shape[1] // COMPARISONS_A_THREAD)
    if threads == 1:
        count(range(len(scores)))
    else:
        with ThreadPoolExecutor(threads) as pool:  # numpy compares and sorts without holding the interpreter
            list(pool.map(count, (range(first, len(scores), threads) for first in range(threads))))
    return counts


def _count_row(row: NDArray[np.float32], levels: NDArray[np.float32], counts: Counts) -> None:
    (by_sorting if len(levels) * ITEMS_A_COMPARISON > len(row) else by_comparing)(row, levels, counts)


def by_sorting(row: NDArray[np.float32], levels: NDArray[np.float32], counts: Counts) -> None:
    """Counts the entries of a row ``(V,)`` above and equal to each of ``m`` levels into ``(2, m)``, by a sort."""
    ordered = row.copy()
    ordered.sort()
    above = ordered.searchsorted(levels, side="right")
    counts[0] = len(row) - above
    counts[1] = above - ordered.searchsorted(levels, side="left")


def by_comparing(row: NDArray[np.float32], levels: NDArray[np.float32], counts: Counts) -> None:
    """Counts like :func:`by_sorting`, by a comparison of the row with each level."""
    step = max(1, FLAGS_AT_ONCE // len(row))
    flags = np.empty((min(step, len(levels)), len(row)), dtype=np.bool_)
    for start in range(0, len(levels), step):
        some = levels[start : start + step, None]
        for kind, compare in enumerate((np.greater, np.equal)):
            lines = compare(row, some, out=flags[: len(some)])
            counts[kind, start : start + step] = [np.count_nonzero(line) for line in lines]


def count_gathered(scores: Tensor, target_request: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
    """Counts like :func:`count_above_and_level`, in few large steps with a copy of its row for every target."""
    counts = torch.empty(2, len(own), dtype=torch.int32, device=scores.device)
    step = max(1, COMPARISONS_AT_ONCE // max(1, scores.shape[1]))
    for start in range(0, len(own), step):
        some = slice(start, start + step)
        rows, level = scores[target_request[some]], own[some, None]  # (m, V), (m, 1)
        counts[0, some] = torch.count_nonzero(rows > level, dim=1).int()
        counts[1, some] = torch.count_nonzero(rows == level, dim=1).int()
    return counts[0], counts[1]
