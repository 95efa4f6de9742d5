"""The arithmetic and the memory traffic that the mathematics of SASRec with a full softmax needs, whoever computes it.

One multiplication with its addition counts as two operations. Only matrix products are counted: everything else is of
lower order in the width. What a product reads and writes belongs to the product and is no traffic of its own. Nothing
is counted for padding, for keys in a request's future, or for making anything a second time. In training every layer
is counted at every token, as the architecture is written; in an evaluation the last one only where a request reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from seasonrec.batches.batch import SequenceBatch

FLOAT = 4
"""Bytes of a float32."""


@dataclass(frozen=True)
class Sizes:
    """How large a piece of work is.

    Args:
        tokens: ``S``, events and start vectors in all windows, padding left out.
        pairs: Pairs (token, token at or before it) within a window, over all windows.
        requests: ``N``.
        items: ``V``.
        width: ``D``.
        layers: Transformer blocks.
        parameters: Weights that the optimiser moves.
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
        """The sizes of a batch."""
        lengths = (~batch.is_padding).sum(1) + 1  # the start vector is a token too
        pairs = int((lengths * (lengths + 1) // 2).sum())
        return Sizes(int(lengths.sum()), pairs, batch.num_requests, items, width, layers, parameters)


def forward_flops(sizes: Sizes) -> int:
    """One pass from item vectors to logits.

    A layer has six ``D x D`` products a token (query, key, value, output and two of the feed-forward), and in the
    attention ``2 D`` operations a pair for the weights and as many for the mix. The logits are ``2 N V D``.
    """
    layer = 2 * 6 * sizes.tokens * sizes.width**2 + 2 * 2 * sizes.pairs * sizes.width
    return sizes.layers * layer + 2 * sizes.requests * sizes.items * sizes.width


def evaluation_flops(sizes: Sizes) -> int:
    """One pass where every request has a window of its own and reads one position of it.

    The last layer then needs keys and values at every token, ``2 * 2 S D^2``, the four other products at ``N``
    positions alone, and pairs of those with each token of their window.
    """
    spared = 2 * 4 * (sizes.tokens - sizes.requests) * sizes.width**2
    spared += 2 * 2 * max(0, sizes.pairs - sizes.tokens) * sizes.width
    return forward_flops(sizes) - spared


def training_flops(sizes: Sizes) -> int:
    """Forward and backward: every product has two in the backward pass, one for either factor."""
    return 3 * forward_flops(sizes)


def training_bytes(sizes: Sizes) -> int:
    """Traffic of a training step beside its products.

    AdamW reads weight, gradient and two moments, and writes weight and two moments; the gradient is written once. The
    rows of the events are read and written on the way in, and their gradient likewise on the way back.
    """
    return FLOAT * (8 * sizes.parameters + 4 * sizes.tokens * sizes.width)


def evaluation_bytes(sizes: Sizes) -> int:
    """Traffic of scoring and ranking beside the products: rows of events in and out, scores written and read once."""
    return FLOAT * (2 * sizes.tokens * sizes.width + 2 * sizes.requests * sizes.items)


def next_event_batch(batch: SequenceBatch) -> SequenceBatch:
    """The same windows with every event a target of the position before it, as papers train SASRec."""
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
