"""Packing of sequences end to end, so that a sequence model computes nothing at padding."""

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
    """Consecutive sequences of similar length whose attention is computed in one call.

    Args:
        num_tokens: Tokens of the bucket; they follow those of the previous bucket.
        num_sequences: ``b``.
        longest: ``l``, the length of the longest sequence.
        place: ``(num_tokens,)`` int64, the row of each token in the padded ``(b * l)``; None if all lengths are equal.
    """

    num_tokens: int
    num_sequences: int
    longest: int
    place: Tensor | None


@dataclass(frozen=True)
class Packing:
    """Order of a padded batch's tokens: the longest sequence first, each sequence from its first token to its last.

    Args:
        rows: ``(S,)`` int64, the row of each token in the padded ``(B * (T + 1))``.
        positions: ``(S,)`` int64, the position of each token in its sequence.
        num_rows: ``B * (T + 1)``.
        buckets: Groups of consecutive sequences whose attention is computed together.
    """

    rows: Tensor
    positions: Tensor
    num_rows: int
    buckets: tuple[Bucket, ...]

    @staticmethod
    def of(is_padding: Tensor, num_buckets: int) -> Packing:
        """Packs sequences whose padding follows their tokens.

        Args:
            is_padding: ``(B, T + 1)`` bool, with at least one token per sequence.
            num_buckets: Maximum number of buckets. More buckets mean less padding and a higher fixed cost.
        """
        width = is_padding.shape[1]
        lengths, order = (~is_padding).sum(1).sort(descending=True, stable=True)
        starts = lengths.cumsum(0) - lengths
        sequence = torch.repeat_interleave(lengths)  # (S,) rank of each token's sequence in the order
        positions = torch.arange(len(sequence), device=lengths.device) - starts[sequence]
        rows = order[sequence] * width + positions
        buckets = tuple(_buckets(lengths.tolist(), sequence, positions, num_buckets))
        return Packing(rows, positions, is_padding.numel(), buckets)

    def pack(self, padded: Tensor) -> Tensor:
        """Maps ``(B, T + 1, D)`` to ``(S, D)``."""
        return collect(padded.flatten(0, 1), self.rows)

    def unpack(self, tokens: Tensor, num_sequences: int) -> Tensor:
        """Maps ``(S, D)`` to ``(B, T + 1, D)``, with zeros at padding."""
        return spread(tokens, self.rows, self.num_rows).view(num_sequences, -1, tokens.shape[1])


def causal_attention(query_key_value: Tensor, num_heads: int) -> Tensor:
    """Computes causal attention within each of ``B`` sequences, ``(B, T, 3 * D)`` to ``(B, T, D)``."""
    batch, length, width = query_key_value.shape
    split = query_key_value.view(batch, length, 3 * num_heads, width // (3 * num_heads))
    query, key, value = split.transpose(1, 2).chunk(3, dim=1)  # each (B, heads, T, D / heads)
    return F.scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2).flatten(2)


def packed_attention(packing: Packing, query_key_value: Tensor, num_heads: int) -> Tensor:
    """Computes causal attention within each packed sequence, ``(S, 3 * D)`` to ``(S, D)``.

    For this, and for nothing else, each bucket is padded to its longest sequence. ``benchmarks/packing.py`` compares
    this with one block-diagonal mask, jagged nested tensors and one padded batch.
    """
    mixed = []
    split = torch.split(query_key_value, [bucket.num_tokens for bucket in packing.buckets])
    for bucket, tokens in zip(packing.buckets, split, strict=True):
        num_rows = bucket.num_sequences * bucket.longest
        padded = tokens if bucket.place is None else spread(tokens, bucket.place, num_rows)
        sequences = padded.view(bucket.num_sequences, bucket.longest, -1)
        attended = causal_attention(sequences, num_heads).flatten(0, 1)
        mixed.append(attended if bucket.place is None else collect(attended, bucket.place))
    return torch.cat(mixed)


def collect(rows: Tensor, place: Tensor) -> Tensor:
    """Returns ``rows[place]``; all places must differ, so that the gradient is a plain copy."""
    taken: Tensor = _Collect.apply(rows, place)  # type: ignore[no-untyped-call]  # torch's own
    return taken


def spread(rows: Tensor, place: Tensor, num_rows: int) -> Tensor:
    """Returns ``num_rows`` rows that hold ``rows`` at ``place`` and zeros elsewhere; all places must differ."""
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
    """Returns the first sequence of each bucket, and the end; buckets divide the range of lengths evenly."""
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
