"""Arithmetic and memory traffic that SASRec with a full softmax needs in any implementation.

A multiplication with its addition counts as two operations. Only matrix products count: everything else is of lower
order in the width. The reads and writes of a product are not counted as traffic. Padding, keys after a request, and
repeated computation are not counted. In training, every layer counts at every token. In evaluation, the last layer
counts only at the positions that requests read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from seasonrec.batches.batch import SequenceBatch

FLOAT = 4
"""Bytes of a float32."""


@dataclass(frozen=True)
class Sizes:
    """Sizes of a batch and a model.

    Args:
        tokens: ``S``, number of events and start vectors in all windows, without padding.
        pairs: Number of pairs of a token and a token at or before it, within the windows.
        requests: ``N``.
        items: ``V``.
        width: ``D``.
        layers: Number of Transformer blocks.
        parameters: Number of trained weights.
    """

    tokens: int
    pairs: int
    requests: int
    items: int
    width: int
    layers: int
    parameters: int

    @staticmethod
    def of(batch: SequenceBatch, items: int, width: int, layers: int, parameters: int) -> Sizes:
        """Returns the sizes of a batch and a model."""
        lengths = (~batch.is_padding).sum(1) + 1  # the start vector is a token too
        pairs = int((lengths * (lengths + 1) // 2).sum())
        return Sizes(int(lengths.sum()), pairs, batch.num_requests, items, width, layers, parameters)


def forward_flops(sizes: Sizes) -> int:
    """Returns the operations of one pass from item vectors to logits.

    A layer has six ``D x D`` products per token (query, key, value, output and two of the feed-forward network). Its
    attention has ``2 D`` operations per pair for the weights and ``2 D`` for the weighted sum. The logits need
    ``2 N V D`` operations.
    """
    layer = 2 * 6 * sizes.tokens * sizes.width**2 + 2 * 2 * sizes.pairs * sizes.width
    return sizes.layers * layer + 2 * sizes.requests * sizes.items * sizes.width


def evaluation_flops(sizes: Sizes) -> int:
    """Returns the operations of one pass in which each request reads one position of its own window.

    The last layer needs keys and values at every token, ``2 * 2 S D^2``. It needs the four other products at only ``N``
    positions, and only the pairs of these positions with the tokens of their windows.
    """
    unneeded = 2 * 4 * (sizes.tokens - sizes.requests) * sizes.width**2
    unneeded += 2 * 2 * max(0, sizes.pairs - sizes.tokens) * sizes.width
    return forward_flops(sizes) - unneeded


def training_flops(sizes: Sizes) -> int:
    """Returns the operations of a training step; the backward pass has two products for each forward product."""
    return 3 * forward_flops(sizes)


def training_bytes(sizes: Sizes) -> int:
    """Returns the traffic of a training step besides its products.

    AdamW reads the weight, the gradient and two moments, and writes the weight and the moments. The backward pass
    writes the gradient once. The item vectors of the events are read and written once, and so are their gradients.
    """
    return FLOAT * (8 * sizes.parameters + 4 * sizes.tokens * sizes.width)


def evaluation_bytes(sizes: Sizes) -> int:
    """Returns the traffic of an evaluation besides its products: item vectors and scores are read and written once."""
    return FLOAT * (2 * sizes.tokens * sizes.width + 2 * sizes.requests * sizes.items)


def next_event_batch(batch: SequenceBatch) -> SequenceBatch:
    """Returns the same windows with every event as a target of the position before it, as in the paper of SASRec."""
    window, position = (~batch.is_padding).nonzero(as_tuple=True)
    count = len(window)
    first = torch.zeros(len(batch.item_ids), dtype=torch.int64)
    first[batch.request_window] = torch.arange(batch.num_requests)
    request = first[window]  # any request of the same window: they share a user
    return replace(
        batch,
        request_window=window,
        request_position=position,
        request_time_s=batch.request_time_s.max().expand(count).contiguous(),
        user_ids=batch.user_ids[request],
        basket_ids=batch.basket_ids[request],
        target_request=torch.arange(count),
        target_items=batch.item_ids[window, position],
    )
