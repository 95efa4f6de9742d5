"""The baskets of a window: events of one second, which temporal modules read as a set."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch


@dataclass(frozen=True)
class Baskets:
    """Which basket each position of a window belongs to, and when it was.

    The order of events within a basket is an accident of the source. So nothing here tells two events of a basket
    apart; what the backbone made of their order stays in the vectors. Everything that is said of a position follows
    from the positions up to it.

    Args:
        number: ``(B, T + 1)`` int64, rising. The start vector is basket 0; padding stands behind all that is ever read,
            and has a number of no meaning.
        times_s: ``(B, T + 1)`` int64 seconds; the start vector has the first event's.
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
        """``(B, T + 1)`` int64: seconds from the basket before to each position's; 0 where the window begins."""
        first = torch.searchsorted(self.number, self.number)  # of the position's own basket
        return (self.times_s - self.times_s.gather(1, (first - 1).clamp(min=0))).clamp(min=0)

    def running_means(self, vectors: Tensor) -> Tensor:
        """``(B, T + 1, D)`` to the same: the mean of each position's basket up to that position."""
        same = (self.number[:, :, None] == self.number[:, None, :]).tril().to(vectors.dtype)  # (B, T + 1, T + 1)
        return (same / same.sum(dim=-1, keepdim=True)) @ vectors

    def last(self, batch: SequenceBatch, count: int) -> tuple[Tensor, Tensor]:
        """Where the last baskets before each request end, the nearest first.

        Returns:
            Positions ``(N, count)`` int64, and ``(N, count)`` bool: whether there is such a basket; the position is 0
            where there is none. A request in the middle of a basket, which no loader makes, ends it where it stands.
        """
        number = self.number.index_select(0, batch.request_window)  # (N, T + 1)
        own = number.gather(1, batch.request_position[:, None])
        wanted = own - torch.arange(count, device=own.device)
        ends = torch.searchsorted(number, wanted.clamp(min=0), right=True) - 1
        return torch.minimum(ends, batch.request_position[:, None]), wanted >= 0


def take(vectors: Tensor, window: Tensor, position: Tensor) -> Tensor:
    """Vectors ``(..., D)`` of ``(B, T + 1, D)`` at window and position, two int64 tensors whose shapes broadcast.

    By ``F.embedding``: the gradient of plain indexing is summed in an order that changes from run to run.
    """
    return F.embedding(window * vectors.shape[1] + position, vectors.flatten(0, 1))
