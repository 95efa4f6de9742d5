"""Attention with a bias for the time between query and key."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from seasonrec.models.kernels.dropout import Dropout
from seasonrec.models.kernels.matmul import Linear
from seasonrec.models.temporal.intervals import NUM_BUCKETS


class TimeAttentionBlock(nn.Module):
    """A pre-norm block: attention with a bias per interval bucket and head, then a feed-forward network.

    The caller runs the steps one by one, because queries and keys may come from different vectors: all requests of a
    training window share the keys and values of its events.

    Args:
        width: ``D``.
        num_heads: Attention heads; divides ``D``.
        dropout: Dropout after each of the two sub-layers.
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

    def attend(self, queries: Tensor, sources: Tensor, bucket: Tensor, may_read: Tensor) -> Tensor:
        """Returns the attention of each query over the ``K`` vectors that it may read.

        Args:
            queries: ``(B, Q, D)``, the output of ``query``.
            sources: ``(B, K, D)`` normalised vectors for keys and values.
            bucket: ``(B, Q, K)`` int64, the bucket of the interval between query and key.
            may_read: ``(B, Q, K)`` bool, at least one True in each row.

        Returns:
            ``(B, Q, D)``.
        """
        key, value = self.key_value(sources).chunk(2, dim=-1)
        query, key, value = self._split(queries), self._split(key), self._split(value)  # (B, heads, ., D / heads)
        logits = (query / math.sqrt(query.shape[-1])) @ key.transpose(-1, -2) + self._bias(bucket)
        weights = logits.masked_fill(~may_read[:, None], float("-inf")).softmax(dim=-1)
        return (weights.to(value.dtype) @ value).transpose(1, 2).flatten(2)

    def update(self, vectors: Tensor, attended: Tensor) -> Tensor:
        """Applies the output projection and the feed-forward network, each with a residual connection."""
        vectors = vectors + self.drop(self.out(attended))
        return vectors + self.drop(self.feed_forward(vectors))

    def _bias(self, bucket: Tensor) -> Tensor:
        """Returns the bias ``(B, heads, Q, K)``, gathered one head at a time: the gradient of short rows is slow."""
        flat = bucket.flatten()
        return torch.stack([head.index_select(0, flat).view_as(bucket) for head in self.interval], dim=1)

    def _split(self, vectors: Tensor) -> Tensor:
        """Splits ``(B, L, D)`` into ``(B, heads, L, D / heads)``."""
        return vectors.view(*vectors.shape[:2], self.num_heads, -1).transpose(1, 2)
