"""The time between events: whole seconds until they are scaled or put into a bucket."""

from __future__ import annotations

import torch
from torch import Tensor

from seasonrec.data.spec import SECONDS_PER_DAY

LONGEST_S = 2**27
"""Intervals from here on (four years) share a bucket."""
BOUNDS_S = tuple(sorted({round(2 ** (half / 2)) for half in range(2 * LONGEST_S.bit_length() - 1)}))
"""Seconds at which a new bucket begins: every half octave from one second on."""
NUM_BUCKETS = len(BOUNDS_S) + 2
"""Bucket 0 is for what has no time (the start vector), bucket 1 for no second at all (one basket)."""


def log_days(intervals_s: Tensor) -> Tensor:
    """``log(1 + days)`` as float32 of int64 seconds; what lies in the future counts as now.

    Subtract whole seconds first: a float32 of today's epoch counts in steps of 128 s.
    """
    return torch.log1p(intervals_s.clamp(min=0) / SECONDS_PER_DAY)


def buckets(intervals_s: Tensor, has_time: Tensor) -> Tensor:
    """The bucket of each interval, on a log scale; integers all the way, so that no second is lost on it.

    Args:
        intervals_s: int64 seconds; what lies in the future counts as now.
        has_time: bool of a shape that broadcasts, False where the interval is to something without a time.

    Returns:
        int64 in ``0..NUM_BUCKETS - 1``, of the shape of ``intervals_s``.
    """
    bounds = torch.tensor(BOUNDS_S, device=intervals_s.device)
    found = torch.bucketize(intervals_s.clamp(min=0), bounds, right=True) + 1
    return found.masked_fill(~has_time, 0)
