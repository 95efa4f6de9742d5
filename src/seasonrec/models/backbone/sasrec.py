"""SASRec: a causal Transformer over the event sequence."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.batches.facts import Facts
from seasonrec.errors import UserError
from seasonrec.models.kernels.dropout import Dropout
from seasonrec.models.kernels.matmul import Linear, linear
from seasonrec.models.kernels.packing import Packing, causal_attention, packed_attention
from seasonrec.ranges import BelowOne, Depth, ranged

PACK_FROM_PADDING = 0.25
"""Minimum share of padding for which packing is faster, measured by ``benchmarks/packing.py``."""
PACK_FROM_ROWS = 1024
"""Minimum number of padded positions for packing; smaller batches gain too little."""
BUCKETS = 4
"""Maximum number of attention calls of a packed batch, the fastest in ``benchmarks/packing.py``."""

ROUND_LENGTH = 8
"""Divisor of the padded length in evaluation; see :mod:`seasonrec.models.kernels.matmul`."""

Attention = Callable[[Tensor, int], Tensor]
"""Function from concatenated queries, keys and values ``(..., 3 * D)`` and the number of heads to ``(..., D)``."""


@ranged("backbone")
class SASRec(nn.Module):
    """Self-attentive sequential recommendation with pre-normalised blocks.

    Padding follows the events, so the causal mask is enough to exclude it, and the fast kernels of
    ``scaled_dot_product_attention`` apply. A batch with much padding is packed: its sequences are laid end to end, and
    only attention uses padded tensors.

    Args:
        num_layers: Number of Transformer blocks.
        num_heads: Number of attention heads; divides ``D``.
        dropout: Dropout on the inputs and after each sub-layer; inside the attention it would prevent the fused kernel.

    Shape:
        - inputs: ``(B, T + 1, D)``; is_padding: ``(B, T + 1)`` bool; output: ``(B, T + 1, D)``.

    Raises:
        ValueError: If ``num_heads`` does not divide the width, or there is no layer.

    References:
        Kang and McAuley, Self-Attentive Sequential Recommendation, ICDM 2018.

    Departures of the backbone from the paper and its authors' code:

    - Positions count from the start of the window. Theirs count from its end: the last event always has the last one.
    - Position 0 is a learned start token, so that a user without events has a query.
    - Queries, keys and values read the normalised input, and the residual is the input itself. Their queries alone are
      normalised, and the residual of each sub-layer is the normalised input.
    - The inputs are not multiplied by ``sqrt(D)``.
    - Two heads by default, with a projection of their outputs; one head and no projection there.
    - No dropout on the attention weights, and none inside the feed-forward layers.

    Departures of the default model around it: the head has a bias that starts at the log popularity, and dropout 0.5 on
    the query; the loss is the full softmax over the items of the next basket, a set, where theirs is a binary
    cross-entropy of the next item against one negative; items have text vectors beside their ids; season and habit add
    scores. ``item_encoder=id season=[] habit=none loss=bce loss.num_negatives=1`` undoes most of these.
    """

    def __init__(self, num_layers: Depth = 2, num_heads: Depth = 2, dropout: BelowOne = 0.3, *, facts: Facts) -> None:
        super().__init__()
        width = facts.embedding_dim
        if width % num_heads:
            raise UserError(
                f"backbone.num_heads must divide embedding_dim={width}, got {num_heads}; "
                f"choose one of {[n for n in range(1, width + 1) if width % n == 0]}."
            )
        self.positions = nn.Parameter(torch.randn(facts.max_seq_len + 1, width) * 0.02)
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, num_heads, dropout) for _ in range(num_layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, inputs: Tensor, is_padding: Tensor) -> Tensor:
        if packing_is_faster(is_padding):
            return self.packed(inputs, Packing.of(is_padding, BUCKETS))
        return self.padded(inputs)

    def at(self, inputs: Tensor, position: Tensor) -> Tensor:
        """Returns the output at one position of each sequence; the last block computes only this position.

        Args:
            inputs: ``(B, T + 1, D)``.
            position: ``(B,)`` int64 in ``0..T``.

        Returns:
            ``(B, D)``, equal to the output for the whole sequence except for rounding.
        """
        inputs = self._rounded(inputs)
        hidden = self.dropout(inputs + self.positions[: inputs.shape[1]])
        for block in self.blocks[:-1]:
            hidden = block(hidden, causal_attention)
        last = cast(Block, self.blocks[-1])
        return self.norm(last.at(hidden, position))

    def _rounded(self, inputs: Tensor) -> Tensor:
        """Pads to a multiple of :data:`ROUND_LENGTH` or the full length, because repeated sizes are fast."""
        length = min(-(-inputs.shape[1] // ROUND_LENGTH) * ROUND_LENGTH, len(self.positions))
        return F.pad(inputs, (0, 0, 0, length - inputs.shape[1])) if length > inputs.shape[1] else inputs

    def padded(self, inputs: Tensor) -> Tensor:
        """Returns the output ``(B, T + 1, D)``, which is also computed at padding."""
        return self._encode(inputs + self.positions[: inputs.shape[1]], causal_attention)

    def packed(self, inputs: Tensor, packing: Packing, attend: Attention | None = None) -> Tensor:
        """Returns the output ``(B, T + 1, D)`` of packed sequences, with zeros at padding.

        Args:
            inputs: ``(B, T + 1, D)``.
            packing: Order of its tokens.
            attend: Causal attention within each packed sequence; None selects :func:`packed_attention`.
        """
        tokens = packing.pack(inputs) + F.embedding(packing.positions, self.positions)
        hidden = self._encode(tokens, attend or partial(packed_attention, packing))
        return packing.unpack(hidden, len(inputs))

    def _encode(self, hidden: Tensor, attend: Attention) -> Tensor:
        hidden = self.dropout(hidden)
        for block in self.blocks:
            hidden = block(hidden, attend)
        return self.norm(hidden)


def packing_is_faster(is_padding: Tensor) -> bool:
    """Checks whether to pack a batch with the padding ``(B, T + 1)``; False while compiling."""
    if torch.compiler.is_compiling():
        return False
    return int(is_padding.sum()) >= max(PACK_FROM_ROWS, PACK_FROM_PADDING * is_padding.numel())


class Block(nn.Module):
    """One pre-normalised Transformer block with causal attention."""

    def __init__(self, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = Linear(width, 3 * width)
        self.out = Linear(width, width)
        self.feed_forward = nn.Sequential(nn.LayerNorm(width), Linear(width, width), nn.ReLU(), Linear(width, width))
        self.drop = Dropout(dropout)

    def forward(self, hidden: Tensor, attend: Attention) -> Tensor:
        mixed = attend(self.query_key_value(self.attention_norm(hidden)), self.num_heads)
        return self._after(hidden, mixed)

    def at(self, hidden: Tensor, position: Tensor) -> Tensor:
        """Maps ``(B, T + 1, D)`` to the outputs ``(B, D)`` at one position of each sequence."""
        count, length, width = hidden.shape
        row = torch.arange(count, device=hidden.device) * length + position
        normed = self.attention_norm(hidden)
        weight, bias = self.query_key_value.weight, self.query_key_value.bias
        query = linear(F.embedding(row, normed.flatten(0, 1)), weight[:width], bias[:width])  # (B, D)
        key_value = linear(normed, weight[width:], bias[width:])
        key, value = key_value.view(count, length, 2 * self.num_heads, -1).transpose(1, 2).chunk(2, dim=1)
        past = torch.arange(length, device=hidden.device) <= position[:, None]  # (B, T + 1)
        one = query.view(count, self.num_heads, 1, -1)  # (B, heads, 1, D / heads)
        mixed = F.scaled_dot_product_attention(one, key, value, attn_mask=past[:, None, None, :])
        return self._after(F.embedding(row, hidden.flatten(0, 1)), mixed.flatten(1))

    def _after(self, hidden: Tensor, mixed: Tensor) -> Tensor:
        """Computes the rest of the block from the attention's output, position by position."""
        hidden = hidden + self.drop(self.out(mixed))
        return hidden + self.drop(self.feed_forward(hidden))
