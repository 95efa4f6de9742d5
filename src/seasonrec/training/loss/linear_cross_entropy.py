"""Cross-entropy of scores that are a matrix product, without ever holding all of them."""

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
"""Requests of a chunk at least, so that a pass over the catalogue is worth its memory traffic, and on a CPU at most."""
TILE_SCORES = 2**19
"""Scores of each CPU thread that go through product, exponential and sums together, 2 MiB: they stay in its cache."""
ROUND_REQUESTS, ROUND_ITEMS = 64, 256
"""Chunks of a multiple of so many requests, and tiles of so many items, are of few sizes: they come again and again."""
LEAST_SUM = 1e-30
"""A sum of exponentials below this has lost digits; the chunk is then done again with the largest score taken off."""


@dataclass(frozen=True)
class Targets:
    """What the scores should have said; ``N`` requests, ``M`` targets.

    Args:
        request: ``(M,)`` int64, the request of each target.
        column: ``(M,)`` int64, its column among the scores.
        alive: ``(N,)`` int64, how many of the columns, counted from the first, are candidates of each request; None
            where all are.
    """

    request: Tensor
    column: Tensor
    alive: Tensor | None = None


def linear_cross_entropy(
    query: Tensor, vectors: Tensor, bias: Tensor, targets: Targets, chunk_scores: int | None = None
) -> Tensor:
    """Mean over the targets of ``-log softmax(query @ vectors.T + bias)``, in nats.

    The scores are made chunk by chunk, each a few hundred requests by the whole catalogue. A chunk's gradient is taken
    while it is there, so that forward and backward together cost the three products that the mathematics needs, and
    memory beyond the gradients themselves is one chunk. Requests are put in the order of their number of candidates: a
    chunk leaves out the columns that are no candidate of any of its requests.

    Args:
        query: ``(N, D)``.
        vectors: ``(C, D)``; where ``targets.alive`` is given, those of later items behind those of earlier ones.
        bias: ``(C,)``.
        targets: Requests, columns and candidates.
        chunk_scores: Scores held at once; None takes what suits the device.

    Returns:
        A scalar, float32. Differentiable once, with respect to ``query``, ``vectors`` and ``bias``.

    References:
        Wijmans et al., Cut Your Losses in Large-Vocabulary Language Models, ICLR 2025. Departures: the gradient is
        taken in the forward pass, and the largest score is taken off only where the sum shows that it must be.
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
        each = 1.0 / len(targets.request)
        weight = torch.bincount(targets.request, minlength=len(query)).float() * each  # (N,) sums to 1
        order = None if targets.alive is None else targets.alive.argsort(stable=True)
        partition = _Partition(query, vectors, bias, weight, targets.alive, order, with_gradient)
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
    """Adds up ``weight * log(sum of exponentials)`` over the requests, and its gradient.

    A chunk's scores lie item by item, ``(C, n)``: the products with the item vectors then read and write whole rows.
    They are powers of two, which cost half as much as those of e.
    """

    def __init__(
        self,
        query: Tensor,
        vectors: Tensor,
        bias: Tensor,
        weight: Tensor,
        alive: Tensor | None,
        order: Tensor | None,
        with_gradient: bool,
    ) -> None:
        self.query, self.vectors, self.weight = query, vectors, weight
        self.bias_2 = bias * math.log2(math.e)
        self.alive, self.order = alive, order
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
        alive = None if self.alive is None else self.alive[rows].clamp(min=1)  # at least one, so that sums are above 0
        chunk = _Chunk(self._room(stop - start), self.query[rows], self.vectors, self.bias_2, alive)
        safe = self.query.device.type != "cpu"  # there a look at the sums would wait for the device
        total, pulled = chunk.exponentiate(None if not safe else chunk.largest(), self.with_gradient)
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
        """``(C, requests)``, the same memory for every chunk."""
        size = len(self.vectors) * requests
        if len(self._scores) < size:
            self._scores = torch.empty(size, device=self.query.device)
        return self._scores[:size].view(len(self.vectors), requests)


class _Chunk:
    """The scores of ``n`` requests, ``(C, n)``, made and used tile by tile."""

    def __init__(self, room: Tensor, query: Tensor, vectors: Tensor, bias_2: Tensor, alive: Tensor | None) -> None:
        self.room, self.query, self.vectors, self.bias_2, self.alive = room, query, vectors, bias_2, alive
        self.query_2 = (query * math.log2(math.e)).T  # (D, n)
        self.width = len(vectors) if alive is None else int(alive[-1])
        self.least = self.width if alive is None else int(alive[0])
        self.shift = torch.zeros(0)
        on_cpu = room.device.type == "cpu"
        step = TILE_SCORES * torch.get_num_threads() // len(query) if on_cpu else self.width
        self.step = max(1, step - step % ROUND_ITEMS if on_cpu and step > ROUND_ITEMS else step)
        self.whole = self.width - self.width % ROUND_ITEMS if on_cpu else self.width

    def largest(self) -> Tensor:
        """``(n,)`` the largest score of each request."""
        found = torch.full((len(self.query),), float("-inf"), device=self.room.device)
        for start, stop in self._tiles():
            torch.maximum(found, self._make(start, stop).amax(0), out=found)
        return found

    def exponentiate(self, shift: Tensor | None, with_gradient: bool) -> tuple[Tensor, Tensor]:
        """Fills the room with powers of two.

        Args:
            shift: ``(n,)`` taken off the scores first; None for nothing.
            with_gradient: Whether the second result is wanted.

        Returns:
            Their sums ``(n,)``, and the sums ``(D, n)`` of the item vectors that they weigh.
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
        """Adds the room's share of the gradient of the item vectors ``(C, D)`` and of the bias ``(C,)``."""
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
        """Whether a tile is of a size that comes again and again."""
        return (stop - start) % ROUND_ITEMS == 0 and len(self.query) % ROUND_REQUESTS == 0

    def _make(self, start: int, stop: int, shift: Tensor | None = None) -> Tensor:
        """``(stop - start, n)`` scores times log2(e) in the room; -inf where an item is no candidate."""
        tile, bias_2 = self.room[start:stop], self.bias_2[start:stop, None]
        addmm(bias_2, self.vectors[start:stop], self.query_2, tile, self._recurs(start, stop))
        if shift is not None:
            tile.sub_(shift)
        if self.alive is not None and stop > self.least:
            first = max(start, self.least)
            born = torch.arange(first, stop, device=tile.device)[:, None] < self.alive
            tile[first - start :].masked_fill_(~born, float("-inf"))
        return tile


def _add_product(total: Tensor, left: Tensor, right: Tensor, recurs: bool) -> None:
    """Adds ``left @ right`` to a float32 total, in the narrower type of the two."""
    narrow = left.dtype if left.dtype != torch.float32 else right.dtype
    addmm(total, left.to(narrow), right.to(narrow), total, recurs)
