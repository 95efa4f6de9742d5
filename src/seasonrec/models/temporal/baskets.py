"""Baskets of a training window: events of the same second, which temporal modules read as a set."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch


@dataclass(frozen=True)
class Baskets:
    """The basket number and time of each position of a training window.

    The order of events within a basket is arbitrary, so two events of a basket have equal values here; their vectors
    may still differ by the order, because the backbone reads it. All values are causal.

    Args:
        number: ``(B, T + 1)`` int64, non-decreasing. The start vector is basket 0. Padding comes last and has
            meaningless numbers, which are never read.
        times_s: ``(B, T + 1)`` int64 seconds; the start vector has the time of the first event.
    """

    number: Tensor
    times_s: Tensor

    @staticmethod
    def of(batch: SequenceBatch) -> Baskets:
        times_s = batch.timestamps_s
        begins = torch.diff(times_s, dim=1) != 0  # (B, T - 1)
        events = F.pad(begins.cumsum(1) + 1, (1, 0), value=1)  # (B, T)
        return Baskets(F.pad(events, (1, 0)), torch.cat([times_s[:, :1], times_s], dim=1))

    def gaps_s(self) -> Tensor:
        """Returns ``(B, T + 1)`` int64: seconds since the previous basket; 0 in the first basket."""
        first = torch.searchsorted(self.number, self.number)  # the first position of each basket
        return (self.times_s - self.times_s.gather(1, (first - 1).clamp(min=0))).clamp(min=0)

    def running_means(self, vectors: Tensor) -> Tensor:
        """Returns ``(B, T + 1, D)``: the mean of each position's basket up to that position."""
        same = (self.number[:, :, None] == self.number[:, None, :]).tril().to(vectors.dtype)  # (B, T + 1, T + 1)
        return (same / same.sum(dim=-1, keepdim=True)) @ vectors

    def last(self, batch: SequenceBatch, count: int) -> tuple[Tensor, Tensor]:
        """Returns the end positions of the last baskets before each request, the nearest first.

        Returns:
            Positions ``(N, count)`` int64, and ``(N, count)`` bool, False (with position 0) if the basket does not
            exist. A request in the middle of a basket, which no loader makes, ends the basket at its position.
        """
        number = self.number.index_select(0, batch.request_window)  # (N, T + 1)
        own = number.gather(1, batch.request_position[:, None])
        wanted = own - torch.arange(count, device=own.device)
        ends = torch.searchsorted(number, wanted.clamp(min=0), right=True) - 1
        return torch.minimum(ends, batch.request_position[:, None]), wanted >= 0


def take(vectors: Tensor, window: Tensor, position: Tensor) -> Tensor:
    """Gathers ``(..., D)`` from vectors ``(B, T + 1, D)`` at window and position, int64 tensors that broadcast.

    ``F.embedding`` has a deterministic gradient, plain indexing does not.
    """
    return F.embedding(window * vectors.shape[1] + position, vectors.flatten(0, 1))
