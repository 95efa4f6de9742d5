"""A Transformer over real time: intervals between events, intervals up to the request, and the calendar."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.errors import UserError
from seasonrec.models.components import SequenceReading, at_requests
from seasonrec.models.kernels.matmul import Linear, zeroed
from seasonrec.models.temporal.baskets import Baskets
from seasonrec.models.temporal.clock_features import ClockFeatures
from seasonrec.models.temporal.intervals import NUM_BUCKETS, buckets
from seasonrec.models.temporal.slots import Slots
from seasonrec.models.temporal.time_attention import TimeAttentionBlock
from seasonrec.ranges import BelowOne, Depth, Harmonics, ranged


@ranged("temporal")
class TransformerTime(nn.Module):
    """Attention of each request, at its own time, over its events; the result is added to the query.

    First, events attend to the events of earlier baskets, with a bias for each interval. Then each request attends to
    the events before it, with a bias for each interval up to its own time. An encoding of weekday and time of year is
    added to the vectors of events and requests. Events of one basket do not attend to each other, so their order has no
    effect. The output projection starts at zero, so that the module starts as the identity.

    Args:
        num_layers: Blocks in which events attend to events; one further block lets requests attend to events.
        num_heads: Attention heads; divides ``D``.
        num_harmonics: Sine-cosine pairs of the year.
        dropout: Dropout after each sub-layer.

    Shape:
        - hidden: ``(B, T + 1, D)``; query: ``(N, D)``.

    Raises:
        ValueError: If ``num_heads`` does not divide the width, or a number is too small.

    References:
        Li et al., Time Interval Aware Self-Attention for Sequential Recommendation, WSDM 2020 (TiSASRec). Zhai et al.,
        Actions Speak Louder than Words, ICML 2024 (a bias by bucketed log interval). Departures from TiSASRec:
        intervals are real seconds on a log scale, not multiples of a user's shortest one; they bias the attention
        weights of a head instead of adding vectors to keys and values, which would take memory ``(B, T, T, D)``; the
        request has its own time; positions encode the calendar, since the backbone has already read the order.
    """

    changes_hidden = True

    def __init__(
        self,
        num_layers: Depth = 1,
        num_heads: Depth = 2,
        num_harmonics: Harmonics = 2,
        dropout: BelowOne = 0.3,
        *,
        facts: Facts,
    ) -> None:
        super().__init__()
        width = facts.embedding_dim
        if width % num_heads:
            raise UserError(
                f"temporal.num_heads must divide embedding_dim={width}, got {num_heads}; "
                f"choose one of {[n for n in range(1, width + 1) if width % n == 0]}."
            )
        self.clock = ClockFeatures(facts.spec, num_harmonics)
        self.calendar = Linear(self.clock.num_features, width, bias=False)
        self.blocks = nn.ModuleList(TimeAttentionBlock(width, num_heads, dropout) for _ in range(num_layers))
        self.reading = TimeAttentionBlock(width, num_heads, dropout)
        self.since_last = nn.Embedding(NUM_BUCKETS, width)
        nn.init.normal_(self.since_last.weight, std=0.02)
        self.norm = nn.LayerNorm(width)
        self.out = zeroed(Linear(width, width))

    def forward(self, hidden: Tensor, batch: SequenceBatch) -> SequenceReading:
        baskets = Baskets.of(batch)
        has_time = baskets.number > 0  # (B, T + 1): all but the start vector
        calendar = self.calendar(self.clock(baskets.times_s)) * has_time[..., None]  # (B, T + 1, D)
        events = self._events(hidden, calendar, baskets, has_time)
        attended = self._requests(events, calendar, baskets, batch)
        return SequenceReading(at_requests(hidden, batch) + self.out(self.norm(attended)))

    def _events(self, events: Tensor, calendar: Tensor, baskets: Baskets, has_time: Tensor) -> Tensor:
        """Attends from each event to itself and to earlier baskets, ``(B, T + 1, D)`` to ``(B, T + 1, D)``."""
        intervals_s = baskets.times_s[:, :, None] - baskets.times_s[:, None, :]
        bucket = buckets(intervals_s, has_time[:, None, :])  # (B, T + 1, T + 1)
        itself = torch.eye(events.shape[1], dtype=torch.bool, device=events.device)
        may_read = (baskets.number[:, None, :] < baskets.number[:, :, None]) | itself
        for module in self.blocks:
            block = cast(TimeAttentionBlock, module)
            dated = block.norm(events) + calendar
            events = block.update(events, block.attend(block.query(dated), dated, bucket, may_read))
        return events

    def _requests(self, events: Tensor, calendar: Tensor, baskets: Baskets, batch: SequenceBatch) -> Tensor:
        """Attends from each request to the events before it, ``(B, T + 1, D)`` to ``(N, D)``."""
        slots = Slots.of(batch)
        position = slots.spread(batch.request_position)[..., None]  # (B, R, 1); an empty slot reads the start vector
        places = torch.arange(events.shape[1], device=events.device)
        intervals_s = slots.spread(batch.request_time_s)[..., None] - baskets.times_s[:, None]
        bucket = buckets(intervals_s, places > 0)  # (B, R, T + 1)
        since_last = slots.collect(bucket.gather(2, position)).squeeze(1)  # (N,)
        requests = at_requests(events, batch) + self.since_last(since_last)
        dated = self.reading.norm(requests) + self.calendar(self.clock(batch.request_time_s))
        queries = slots.spread(self.reading.query(dated))
        mixed = self.reading.attend(queries, self.reading.norm(events) + calendar, bucket, places <= position)
        return self.reading.update(requests, slots.collect(mixed))
