"""Pseudo-random numbers computed from keys by hashing, so that an evaluation can be repeated."""

from __future__ import annotations

import torch
from torch import Tensor

_LOW_BITS = 0xFFFFFFFF


def hashed_uniform(keys: Tensor, count: int) -> Tensor:
    """Hashes integers to uniform numbers in ``[0, 1)``, the same on every device and at every call.

    Args:
        keys: ``(P,)`` int64; only the low 32 bits are used.
        count: Numbers per key.

    Returns:
        ``(P, count)`` float64.
    """
    numbers = torch.arange(1, count + 1, device=keys.device)
    mixed = _mix(_mix(keys & _LOW_BITS)[:, None] + numbers * 0x1E3779B1 & _LOW_BITS)
    return mixed.double() / 2.0**32


def _mix(values: Tensor) -> Tensor:
    """Mixes 32 bits one to one; the factors are odd, and small enough that products fit into 64 bits."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x2C1B3C6D), (13, 0x297A2D39)):
        values = (values ^ (values >> shift)) * factor & _LOW_BITS
    return values ^ (values >> 16)
