"""Scored items, and scores as an unevaluated matrix product."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from seasonrec.models.kernels.matmul import linear


@dataclass(frozen=True)
class ScoredItems:
    """Items that are scored for a batch: the whole catalogue, or the items of its sample.

    Args:
        vectors: ``(C, D)``; ``C = V`` for the whole catalogue.
        ids: ``(C,)`` int64 catalogue numbers in ascending order, without repeats; None for the whole catalogue.
        num_items: ``V``.
    """

    vectors: Tensor
    ids: Tensor | None
    num_items: int

    def of(self, table: Tensor) -> Tensor:
        """Returns the rows ``(C, ...)`` of a table ``(V, ...)`` over the catalogue."""
        return table if self.ids is None else table.index_select(0, self.ids)

    def columns(self, item_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the columns of catalogue items among the scored ones.

        Args:
            item_ids: ``(P,)`` int64 catalogue numbers.

        Returns:
            ``(kept, column)``, both ``(P',)``: the indices in ``item_ids`` of the scored items, and their columns.
        """
        if self.ids is None:
            return torch.arange(len(item_ids), device=item_ids.device), item_ids
        column = item_ids.new_full((self.num_items,), -1)
        column[self.ids] = torch.arange(len(self.ids), device=item_ids.device)
        place = column[item_ids]
        kept = (place >= 0).nonzero().squeeze(1)
        return kept, place[kept]


@dataclass(frozen=True)
class LinearScores:
    """Factors of the scores ``query @ vectors.T + bias``.

    A loss that uses the factors never holds all ``(N, V)`` scores at once.

    Args:
        query: ``(N, D)``.
        vectors: ``(C, D)``.
        bias: ``(C,)``.
    """

    query: Tensor
    vectors: Tensor
    bias: Tensor

    def dense(self) -> Tensor:
        """Returns the scores ``(N, C)``, see :func:`biased_product`."""
        return biased_product(self.bias, self.query, self.vectors)


def biased_product(bias: Tensor, query: Tensor, vectors: Tensor) -> Tensor:
    """Computes ``query @ vectors.T + bias`` in float32; under autocast only the product has lower precision.

    The bias has the size of a log popularity, and bfloat16 would round it to steps of 0.06, identically in every row.

    Args:
        bias: ``(C,)`` float32.
        query: ``(N, D)``.
        vectors: ``(C, D)``.

    Returns:
        ``(N, C)``.
    """
    if torch.is_autocast_enabled(query.device.type):
        return (query @ vectors.T).float() + bias
    return linear(query, vectors, bias)
