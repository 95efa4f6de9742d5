"""Time between events in whole seconds, scaled to log days or assigned to buckets."""

from __future__ import annotations

import torch
from torch import Tensor

from seasonrec.data.spec import SECONDS_PER_DAY

LONGEST_S = 2**27
"""Intervals of at least this length (four years) share one bucket."""
BOUNDS_S = tuple(sorted({round(2 ** (half / 2)) for half in range(2 * LONGEST_S.bit_length() - 1)}))
"""Lower bounds of the buckets in seconds: every half octave, starting at one second."""
NUM_BUCKETS = len(BOUNDS_S) + 2
"""Number of buckets; 0 is for vectors without a time (the start vector), 1 for intervals of 0 s (the same basket)."""


def log_days(intervals_s: Tensor) -> Tensor:
    """Returns ``log(1 + days)`` of int64 seconds as float32; negative intervals count as 0.

    Timestamps must be subtracted as int64: a float32 of seconds since 1970 has a resolution of 128 s.
    """
    return torch.log1p(intervals_s.clamp(min=0) / SECONDS_PER_DAY)


def buckets(intervals_s: Tensor, has_time: Tensor) -> Tensor:
    """Returns the bucket of each interval, on a log scale and in exact integer arithmetic.

    Args:
        intervals_s: int64 seconds; negative intervals count as 0.
        has_time: bool of a shape that broadcasts; False if one end of the interval has no time.

    Returns:
        int64 in ``0..NUM_BUCKETS - 1``, of the shape of ``intervals_s``.
    """
    bounds = torch.tensor(BOUNDS_S, device=intervals_s.device)
    found = torch.bucketize(intervals_s.clamp(min=0), bounds, right=True) + 1
    return found.masked_fill(~has_time, 0)
