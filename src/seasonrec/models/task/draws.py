"""Random numbers of a batch's targets; hashes in evaluation, so that an evaluation can be repeated."""

from __future__ import annotations

import torch
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch

_LOW_BITS = 0xFFFFFFFF


def target_uniform(batch: SequenceBatch, count: int, training: bool) -> Tensor:
    """Draws ``(M, count)`` float64 in ``[0, 1)`` in training; in evaluation, hashes basket and item to such numbers."""
    if training:
        return torch.rand(len(batch.target_items), count, dtype=torch.float64, device=batch.target_items.device)
    return hashed_uniform(batch.basket_ids[batch.target_request] * 0x9E37 + batch.target_items, count)


def hashed_uniform(keys: Tensor, count: int) -> Tensor:
    """Hashes keys to uniform numbers ``(P, count)`` float64 in ``[0, 1)``, the same on every device and at every call.

    Args:
        keys: ``(P,)`` int64; only the low 32 bits are used.
        count: Numbers per key.
    """
    numbers = torch.arange(1, count + 1, device=keys.device)
    mixed = _mix(_mix(keys & _LOW_BITS)[:, None] + numbers * 0x1E3779B1 & _LOW_BITS)
    return mixed.double() / 2.0**32


def _mix(values: Tensor) -> Tensor:
    """Permutes the numbers of 32 bits; the factors are odd, and small enough that products fit into 64 bits."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x2C1B3C6D), (13, 0x297A2D39)):
        values = (values ^ (values >> shift)) * factor & _LOW_BITS
    return values ^ (values >> 16)
