"""Requests of a batch grouped by training window, so that a window's events are not copied for each request."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.models.kernels.packing import collect, spread


@dataclass(frozen=True)
class Slots:
    """A grid of requests: one row per training window, with ``R`` slots for its requests.

    Args:
        place: ``(N,)`` int64, the slot of each request in the flattened ``(B * R)``.
        num_windows: ``B``.
        num_slots: ``R``, the largest number of requests of a window.
    """

    place: Tensor
    num_windows: int
    num_slots: int

    @staticmethod
    def of(batch: SequenceBatch) -> Slots:
        """Assigns slots to the requests of a batch, which may be in any order."""
        window, num_windows = batch.request_window, len(batch.item_ids)
        counts = torch.bincount(window, minlength=num_windows)
        num_slots = int(counts.max())
        order = window.argsort(stable=True)
        first = (counts.cumsum(0) - counts).index_select(0, window.index_select(0, order))
        slot = torch.empty_like(window).index_copy_(0, order, torch.arange(len(window), device=window.device) - first)
        return Slots(window * num_slots + slot, num_windows, num_slots)

    def spread(self, values: Tensor) -> Tensor:
        """Places ``(N, ...)`` into ``(B, R, ...)``, zero in empty slots."""
        filled = spread(values, self.place, self.num_windows * self.num_slots)
        return filled.view(self.num_windows, self.num_slots, *values.shape[1:])

    def collect(self, values: Tensor) -> Tensor:
        """Takes ``(N, ...)`` out of ``(B, R, ...)``."""
        return collect(values.flatten(0, 1), self.place)
