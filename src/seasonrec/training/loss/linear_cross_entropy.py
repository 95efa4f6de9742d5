"""Cross-entropy of scores that are a matrix product, without holding all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seasonrec.models.kernels.matmul import addmm

CHUNK_SCORES = {"cpu": 2**24, "cuda": 2**27}
"""Scores held at once by device, in float32: 64 MiB and 512 MiB."""
CHUNK_REQUESTS = (64, 512)
"""Smallest number of requests per chunk, to limit memory traffic, and the largest number on a CPU."""
TILE_SCORES = 2**19
"""Scores per CPU thread in one tile of product, exponential and sums: 2 MiB, to stay in its cache."""
ROUND_REQUESTS, ROUND_ITEMS = 64, 256
"""Numbers of requests and items whose multiples are preferred as sizes, so that there are few different sizes."""
LEAST_SUM = 1e-30
"""Smallest exact sum of exponentials; below it, a chunk is computed again with the largest score subtracted."""


@dataclass(frozen=True)
class Targets:
    """Targets of the scores; ``N`` requests, ``M`` targets.

    Args:
        request: ``(M,)`` int64, the request of each target.
        column: ``(M,)`` int64, its column among the scores.
        available: ``(N,)`` int64, number of candidates of each request, which are the first columns; None for all.
    """

    request: Tensor
    column: Tensor
    available: Tensor | None = None


def linear_cross_entropy(
    query: Tensor, vectors: Tensor, bias: Tensor, targets: Targets, chunk_scores: int | None = None
) -> Tensor:
    """Returns the mean over the targets of ``-log softmax(query @ vectors.T + bias)``, in nats.

    The scores are computed in chunks of a few hundred requests by the whole catalogue. A chunk's gradient is computed
    at once: forward and backward together cost three matrix products and the memory of one chunk. Requests are sorted
    by their number of candidates, so that a chunk skips the columns that are candidates of none of its requests.

    Args:
        query: ``(N, D)``.
        vectors: ``(C, D)``; with ``targets.available``, sorted by the items' first events.
        bias: ``(C,)``.
        targets: Requests, columns and candidates.
        chunk_scores: Scores held at once; None for the default of the device.

    Returns:
        A scalar, float32, that can be differentiated once by ``query``, ``vectors`` and ``bias``.

    References:
        Wijmans et al., Cut Your Losses in Large-Vocabulary Language Models, ICLR 2025. Departures: the gradient is
        computed in the forward pass, and the largest score is subtracted only if the sum shows that it is needed.
    """
    device = query.device.type
    autocast = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
    if autocast is not None:
        query, vectors = query.to(autocast), vectors.to(autocast)
    factors = (query, vectors, bias.float())
    with_gradient = torch.is_grad_enabled() and any(factor.requires_grad for factor in factors)
    size = chunk_scores or CHUNK_SCORES["cpu" if device == "cpu" else "cuda"]
    loss: Tensor = _LinearCrossEntropy.apply(*factors, targets, size, with_gradient)  # type: ignore[no-untyped-call]
    return loss


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        vectors: Tensor,
        bias: Tensor,
        targets: Targets,
        chunk_scores: int,
        with_gradient: bool,
    ) -> Tensor:
        each = 1.0 / max(1, len(targets.request))
        partition = _Partition(query, vectors, bias, targets, with_gradient)
        most = CHUNK_REQUESTS[1] if query.device.type == "cpu" else len(query)
        step = max(1, min(most, max(CHUNK_REQUESTS[0], chunk_scores // len(vectors))))
        for start in range(0, len(query), step):
            partition.add(start, min(start + step, len(query)))
        own, chosen = query[targets.request].float(), vectors[targets.column].float()  # (M, D)
        if with_gradient:
            partition.query_gradient.index_add_(0, targets.request, chosen, alpha=-each)
            partition.vectors_gradient.index_add_(0, targets.column, own, alpha=-each)
            partition.bias_gradient.sub_(torch.bincount(targets.column, minlength=len(bias)) * each)
            ctx.save_for_backward(partition.query_gradient, partition.vectors_gradient, partition.bias_gradient)
        return partition.total - ((own * chosen).sum(1) + bias[targets.column]).sum() * each

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return *(gradient * upstream for gradient in ctx.saved_tensors), None, None, None


class _Partition:
    """Mean over the targets of the log of their request's sum of exponentials, and its gradient.

    A chunk's scores are stored as ``(C, n)``, so that the products with the item vectors read and write whole rows.
    The exponentials are powers of two, which cost half as much as powers of e.
    """

    def __init__(self, query: Tensor, vectors: Tensor, bias: Tensor, targets: Targets, with_gradient: bool) -> None:
        self.query, self.vectors, self.available = query, vectors, targets.available
        self.bias_2 = bias * math.log2(math.e)
        self.weight = torch.bincount(targets.request, minlength=len(query)).float() * (
            1.0 / max(1, len(targets.request))
        )
        self.order = None if self.available is None else self.available.argsort(stable=True)
        self.total = torch.zeros((), device=query.device)
        self.with_gradient = with_gradient
        if with_gradient:
            self.query_gradient = torch.empty(query.shape, device=query.device)
            self.vectors_gradient = torch.zeros(vectors.shape, device=query.device)
            self.bias_gradient = torch.zeros_like(bias)
        self._scores = torch.empty(0, device=query.device)

    def add(self, start: int, stop: int) -> None:
        """Adds the requests ``start:stop`` of the order."""
        rows = slice(start, stop) if self.order is None else self.order[start:stop]
        available = None if self.available is None else self.available[rows].clamp(min=1)  # so that sums are above 0
        chunk = _Chunk(self._room(stop - start), self.query[rows], self.vectors, self.bias_2, available)
        safe = self.query.device.type != "cpu"  # on a GPU, a check of the sums would synchronise the device
        total, pulled = chunk.exponentiate(chunk.largest() if safe else None, self.with_gradient)
        if not safe and not bool(((total > LEAST_SUM) & torch.isfinite(total)).all()):
            safe = True
            total, pulled = chunk.exponentiate(chunk.largest(), self.with_gradient)
        weight = self.weight[rows]
        self.total += (weight * (total.log() + (chunk.shift * math.log(2.0) if safe else 0.0))).sum()
        if self.with_gradient:
            scale = weight / total
            self.query_gradient[rows] = pulled.T * scale[:, None]
            chunk.push(scale, self.vectors_gradient, self.bias_gradient)

    def _room(self, requests: int) -> Tensor:
        """Returns ``(C, requests)``, the same memory for every chunk."""
        size = len(self.vectors) * requests
        if len(self._scores) < size:
            self._scores = torch.empty(size, device=self.query.device)
        return self._scores[:size].view(len(self.vectors), requests)


class _Chunk:
    """Scores ``(C, n)`` of ``n`` requests, computed and used in tiles."""

    def __init__(self, room: Tensor, query: Tensor, vectors: Tensor, bias_2: Tensor, available: Tensor | None) -> None:
        self.room, self.query, self.vectors, self.bias_2, self.available = room, query, vectors, bias_2, available
        self.query_2 = (query * math.log2(math.e)).T  # (D, n)
        self.width = len(vectors) if available is None else int(available[-1])
        self.least = self.width if available is None else int(available[0])
        self.shift = torch.zeros(0)
        on_cpu = room.device.type == "cpu"
        step = TILE_SCORES * torch.get_num_threads() // len(query) if on_cpu else self.width
        self.step = max(1, step - step % ROUND_ITEMS if on_cpu and step > ROUND_ITEMS else step)
        self.whole = self.width - self.width % ROUND_ITEMS if on_cpu else self.width

    def largest(self) -> Tensor:
        """Returns the largest score of each request, ``(n,)``."""
        found = torch.full((len(self.query),), float("-inf"), device=self.room.device)
        for start, stop in self._tiles():
            torch.maximum(found, self._make(start, stop).amax(0), out=found)
        return found

    def exponentiate(self, shift: Tensor | None, with_gradient: bool) -> tuple[Tensor, Tensor]:
        """Replaces the scores by powers of two.

        Args:
            shift: ``(n,)`` subtracted from the scores first; None for nothing.
            with_gradient: Whether to compute the second result.

        Returns:
            Sums ``(n,)`` of the powers, and sums ``(D, n)`` of the item vectors weighted by them.
        """
        total = torch.zeros(len(self.query), device=self.room.device)
        pulled = torch.zeros(self.vectors.shape[1], len(self.query), device=self.room.device)
        for start, stop in self._tiles():
            powers = self._make(start, stop, shift)
            total += powers.exp2_().sum(0)
            if with_gradient:
                _add_product(pulled, self.vectors[start:stop].T, powers, self._recurs(start, stop))
        if shift is not None:
            self.shift = shift
        return total, pulled

    def push(self, scale: Tensor, vectors_gradient: Tensor, bias_gradient: Tensor) -> None:
        """Adds the chunk's share of the gradient of the item vectors ``(C, D)`` and of the bias ``(C,)``."""
        weighed = self.query * scale[:, None].to(self.query.dtype)
        for start, stop in self._tiles():
            powers = self.room[start:stop]
            _add_product(vectors_gradient[start:stop], powers, weighed, self._recurs(start, stop))
            bias_gradient[start:stop].addmv_(powers, scale)

    def _tiles(self) -> Iterator[tuple[int, int]]:
        for start in range(0, self.whole, self.step):
            yield start, min(start + self.step, self.whole)
        if self.whole < self.width:
            yield self.whole, self.width

    def _recurs(self, start: int, stop: int) -> bool:
        """Returns whether many tiles have this size."""
        return (stop - start) % ROUND_ITEMS == 0 and len(self.query) % ROUND_REQUESTS == 0

    def _make(self, start: int, stop: int, shift: Tensor | None = None) -> Tensor:
        """Returns ``(stop - start, n)`` scores times log2(e); -inf where an item is no candidate."""
        tile, bias_2 = self.room[start:stop], self.bias_2[start:stop, None]
        addmm(bias_2, self.vectors[start:stop], self.query_2, tile, self._recurs(start, stop))
        if shift is not None:
            tile.sub_(shift)
        if self.available is not None and stop > self.least:
            first = max(start, self.least)
            exists = torch.arange(first, stop, device=tile.device)[:, None] < self.available
            tile[first - start :].masked_fill_(~exists, float("-inf"))
        return tile


def _add_product(total: Tensor, left: Tensor, right: Tensor, recurs: bool) -> None:
    """Adds ``left @ right`` to a float32 total, in the narrower type of the two."""
    narrow = left.dtype if left.dtype != torch.float32 else right.dtype
    addmm(total, left.to(narrow), right.to(narrow), total, recurs)
