"""Attention whose weights also see the time between what asks and what answers."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from seasonrec.models.kernels.dropout import Dropout
from seasonrec.models.kernels.matmul import Linear
from seasonrec.models.temporal.intervals import NUM_BUCKETS


class TimeAttentionBlock(nn.Module):
    """One pre-normalised block: attention with a bias for every interval and head, then a feed-forward network.

    Its steps are called one by one: who asks and who answers may be the same vectors or not, and keys and values of a
    window serve all of its requests.

    Args:
        width: ``D``.
        num_heads: Attention heads; divides ``D``.
        dropout: After each of the two sub-layers.
    """

    def __init__(self, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm = nn.LayerNorm(width)
        self.query = Linear(width, width)
        self.key_value = Linear(width, 2 * width)
        self.interval = nn.Parameter(torch.zeros(num_heads, NUM_BUCKETS))
        self.out = Linear(width, width)
        self.feed_forward = nn.Sequential(nn.LayerNorm(width), Linear(width, width), nn.ReLU(), Linear(width, width))
        self.drop = Dropout(dropout)

    def attend(self, queries: Tensor, answering: Tensor, bucket: Tensor, may_read: Tensor) -> Tensor:
        """What each query makes of the ``K`` vectors that it may read.

        Args:
            queries: ``(B, Q, D)`` of ``query``.
            answering: ``(B, K, D)``, normalised.
            bucket: ``(B, Q, K)`` int64, of the interval between the two.
            may_read: ``(B, Q, K)`` bool, at least one in a row.

        Returns:
            ``(B, Q, D)``.
        """
        key, value = self.key_value(answering).chunk(2, dim=-1)
        query, key, value = self._split(queries), self._split(key), self._split(value)  # (B, heads, ., D / heads)
        logits = (query / math.sqrt(query.shape[-1])) @ key.transpose(-1, -2) + self._bias(bucket)
        weights = logits.masked_fill(~may_read[:, None], float("-inf")).softmax(dim=-1)
        return (weights.to(value.dtype) @ value).transpose(1, 2).flatten(2)

    def after(self, asking: Tensor, mixed: Tensor) -> Tensor:
        """What follows the attention, vector by vector."""
        asking = asking + self.drop(self.out(mixed))
        return asking + self.drop(self.feed_forward(asking))

    def _bias(self, bucket: Tensor) -> Tensor:
        """``(B, heads, Q, K)``; head by head, as the gradient of rows of two numbers is slow to add up."""
        flat = bucket.flatten()
        return torch.stack([head.index_select(0, flat).view_as(bucket) for head in self.interval], dim=1)

    def _split(self, vectors: Tensor) -> Tensor:
        """``(B, L, D)`` to ``(B, heads, L, D / heads)``."""
        return vectors.view(*vectors.shape[:2], self.num_heads, -1).transpose(1, 2)
