"""SASRec: a causal Transformer over the event sequence."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.data.facts import Facts


class SASRec(nn.Module):
    """Self-attentive sequential recommendation with pre-normalised blocks.

    Events stand from position 0 on and padding behind them, so that the causal mask alone keeps padding out and the
    fast kernels of ``scaled_dot_product_attention`` apply.

    Args:
        num_layers: Transformer blocks.
        num_heads: Attention heads; divides ``D``.
        dropout: On the inputs and after each sub-layer; none inside the attention, where it would rule out the fused
            kernel.

    Shape:
        - inputs: ``(B, T + 1, D)``; is_padding: ``(B, T + 1)`` bool; output: ``(B, T + 1, D)``.

    Raises:
        ValueError: If ``num_heads`` does not divide the width.

    References:
        Kang and McAuley, Self-Attentive Sequential Recommendation, ICDM 2018. Departures: no dropout on the
        attention weights.
    """

    def __init__(self, num_layers: int = 2, num_heads: int = 2, dropout: float = 0.3, *, facts: Facts) -> None:
        super().__init__()
        width = facts.embedding_dim
        if width % num_heads:
            raise ValueError(
                f"backbone.num_heads must divide embedding_dim={width}, got {num_heads}; "
                f"choose one of {[n for n in range(1, width + 1) if width % n == 0]}."
            )
        self.positions = nn.Parameter(torch.randn(facts.max_seq_len + 1, width) * 0.02)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, num_heads, dropout) for _ in range(num_layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, inputs: Tensor, is_padding: Tensor) -> Tensor:
        hidden = self.dropout(inputs + self.positions[: inputs.shape[1]])
        for block in self.blocks:
            hidden = block(hidden)
        return self.norm(hidden)


class Block(nn.Module):
    """One pre-normalised Transformer block with causal attention."""

    def __init__(self, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = hidden + self.drop(self._attend(self.attention_norm(hidden)))
        return hidden + self.drop(self.feed_forward(hidden))

    def _attend(self, hidden: Tensor) -> Tensor:
        batch, length, width = hidden.shape
        split = self.query_key_value(hidden).view(batch, length, 3, self.num_heads, width // self.num_heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # each (B, heads, T + 1, D / heads)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))
