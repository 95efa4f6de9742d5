"""Herding: examples whose mean is that of all."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def herd(features: Tensor, count: int) -> Tensor:
    """Returns the numbers of the chosen rows, in the order of their choice.

    Row by row, it chooses the one that brings the mean of the chosen rows nearest to the mean of all, so that the first
    rows are the best small sample. Rows are scaled to length 1 before.

    Args:
        features: ``(n, D)``.
        count: Rows to choose; all rows if there are fewer.

    Returns:
        ``(min(count, n),)`` int64, distinct.

    References:
        Rebuffi et al., iCaRL, CVPR 2017, algorithm 4. Departure: an example is a basket, and its class the season.
    """
    rows = F.normalize(features.double(), dim=1)
    mean, total = rows.mean(0), torch.zeros_like(rows[:1])
    chosen: list[int] = []
    free = torch.ones(len(rows), dtype=torch.bool, device=rows.device)
    for place in range(1, min(count, len(rows)) + 1):
        distance = (mean - (total + rows) / place).square().sum(1)
        best = int(distance.masked_fill(~free, float("inf")).argmin())
        chosen.append(best)
        free[best] = False
        total = total + rows[best]
    return torch.tensor(chosen, dtype=torch.int64)
