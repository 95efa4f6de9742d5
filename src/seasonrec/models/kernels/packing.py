"""Sequences laid end to end: what a model of sequences need not compute at padding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Bucket:
    """Neighbouring sequences of like length, which attend in one call.

    Args:
        num_tokens: Theirs, which stand behind those of the bucket before.
        num_sequences: ``b``.
        longest: ``l``, the tokens of the longest.
        place: ``(num_tokens,)`` int64, the row of each in a padded ``(b * l)``; None where all are of one length.
    """

    num_tokens: int
    num_sequences: int
    longest: int
    place: Tensor | None


@dataclass(frozen=True)
class Packing:
    """Where the tokens of a padded batch go: longest sequence first, each from its first token to its last.

    Args:
        rows: ``(S,)`` int64, the row of each token in the padded ``(B * (T + 1))``.
        positions: ``(S,)`` int64, the place of each in its sequence.
        num_rows: ``B * (T + 1)``.
        buckets: Neighbouring tokens that attend together.
    """

    rows: Tensor
    positions: Tensor
    num_rows: int
    buckets: tuple[Bucket, ...]

    @staticmethod
    def of(is_padding: Tensor, num_buckets: int) -> Packing:
        """Packs sequences whose padding stands behind their tokens.

        Args:
            is_padding: ``(B, T + 1)`` bool; at least one token a sequence.
            num_buckets: Buckets at most. More waste less on the padding between sequences of a bucket; each has a price
                of its own.
        """
        width = is_padding.shape[1]
        lengths, order = (~is_padding).sum(1).sort(descending=True, stable=True)
        starts = lengths.cumsum(0) - lengths
        sequence = torch.repeat_interleave(lengths)  # (S,) place of each token's sequence in the order
        positions = torch.arange(len(sequence), device=lengths.device) - starts[sequence]
        rows = order[sequence] * width + positions
        buckets = tuple(_buckets(lengths.tolist(), sequence, positions, num_buckets))
        return Packing(rows, positions, is_padding.numel(), buckets)

    def pack(self, padded: Tensor) -> Tensor:
        """``(B, T + 1, D)`` to ``(S, D)``."""
        return collect(padded.flatten(0, 1), self.rows)

    def unpack(self, tokens: Tensor, num_sequences: int) -> Tensor:
        """``(S, D)`` to ``(B, T + 1, D)``, zero at padding."""
        return spread(tokens, self.rows, self.num_rows).view(num_sequences, -1, tokens.shape[1])


def causal_attention(query_key_value: Tensor, num_heads: int) -> Tensor:
    """Causal attention within each of ``B`` sequences, ``(B, T, 3 * D)`` to ``(B, T, D)``."""
    batch, length, width = query_key_value.shape
    split = query_key_value.view(batch, length, 3 * num_heads, width // (3 * num_heads))
    query, key, value = split.transpose(1, 2).chunk(3, dim=1)  # each (B, heads, T, D / heads)
    return F.scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2).flatten(2)


def packed_attention(packing: Packing, query_key_value: Tensor, num_heads: int) -> Tensor:
    """Causal attention within each of the sequences laid end to end, ``(S, 3 * D)`` to ``(S, D)``.

    Every bucket is padded to its longest for the one call that needs it. ``benchmarks/packing.py`` times this against
    one block-diagonal mask, jagged nested tensors and one padded batch.
    """
    mixed = []
    parts = torch.split(query_key_value, [bucket.num_tokens for bucket in packing.buckets])
    for bucket, tokens in zip(packing.buckets, parts, strict=True):
        num_rows = bucket.num_sequences * bucket.longest
        padded = tokens if bucket.place is None else spread(tokens, bucket.place, num_rows)
        sequences = padded.view(bucket.num_sequences, bucket.longest, -1)
        attended = causal_attention(sequences, num_heads).flatten(0, 1)
        mixed.append(attended if bucket.place is None else collect(attended, bucket.place))
    return torch.cat(mixed)


def collect(rows: Tensor, place: Tensor) -> Tensor:
    """``rows[place]``; no place comes twice, so that its gradient is a plain copy."""
    taken: Tensor = _Collect.apply(rows, place)  # type: ignore[no-untyped-call]  # torch's own
    return taken


def spread(rows: Tensor, place: Tensor, num_rows: int) -> Tensor:
    """A tensor of ``num_rows`` rows, zero but for ``rows`` at ``place``; no place comes twice."""
    filled: Tensor = _Spread.apply(rows, place, num_rows)  # type: ignore[no-untyped-call]  # torch's own
    return filled


def _buckets(lengths: list[int], sequence: Tensor, positions: Tensor, num_buckets: int) -> Iterator[Bucket]:
    cuts = _cuts(lengths, num_buckets)
    token = 0
    for start, stop in pairwise(cuts):
        longest, size = lengths[start], sum(lengths[start:stop])
        own = slice(token, token + size)
        place = (sequence[own] - start) * longest + positions[own] if lengths[stop - 1] < longest else None
        yield Bucket(size, stop - start, longest, place)
        token += size


def _cuts(lengths: list[int], num_buckets: int) -> list[int]:
    """First sequence of each bucket and the end: equal shares of the range of lengths, empty ones left out."""
    step = -(-lengths[0] // num_buckets)
    return [
        0,
        *(n for n in range(1, len(lengths)) if -(-lengths[n] // step) != -(-lengths[n - 1] // step)),
        len(lengths),
    ]


class _Collect(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, place: Tensor) -> Tensor:
        ctx.save_for_backward(place)
        ctx.num_rows = len(rows)
        return rows.index_select(0, place)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        (place,) = ctx.saved_tensors
        return _filled(upstream, place, ctx.num_rows), None


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, place: Tensor, num_rows: int) -> Tensor:
        ctx.save_for_backward(place)
        return _filled(rows, place, num_rows)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        (place,) = ctx.saved_tensors
        return upstream.index_select(0, place), None, None


def _filled(rows: Tensor, place: Tensor, num_rows: int) -> Tensor:
    return rows.new_zeros(num_rows, *rows.shape[1:]).index_copy_(0, place, rows)
