"""The recommender: stages behind Protocols, in a fixed order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.data.batch import SequenceBatch
from seasonrec.data.context.base import Context, union
from seasonrec.data.facts import Facts
from seasonrec.models.context_use import pick

Part = Callable[..., Any]
"""A part with its options bound; called with ``facts=``."""


class SeasonalRecommender(nn.Module):
    """Scores every item for a query ``(what the user did before t, the request time t)``.

    item encoder -> backbone -> temporal -> season -> head -> season's scores -> habit. The habit comes
    last because it must see what the rest says of an item before it decides how far to trust the user's own counts.

    Args:
        item_encoder: Gives ``(V, D)`` item vectors; the same read the sequence and are scored (tied).
        backbone: Reads the sequence.
        temporal: Models change over time on top of the backbone.
        season: Conditions the query on the request time and adds seasonal scores.
        habit: Adds what the user buys again.
        head: Turns query and items into logits.
        facts: Facts of the data.

    Shape:
        - output: ``(N, V)`` logits of all items; :meth:`mask_unborn` leaves the candidates.
    """

    first_seen_s: Tensor

    def __init__(
        self, *, item_encoder: Part, backbone: Part, temporal: Part, season: Part, habit: Part, head: Part, facts: Facts
    ) -> None:
        super().__init__()
        self.item_encoder = item_encoder(facts=facts)
        self.backbone = backbone(facts=facts)
        self.temporal = temporal(facts=facts)
        self.season = season(facts=facts)
        self.habit = habit(facts=facts)
        self.head = head(facts=facts)
        self.start = nn.Parameter(torch.randn(facts.embedding_dim) * facts.embedding_dim**-0.5)
        self.register_buffer("first_seen_s", facts.item_first_seen_s, persistent=False)

    def contexts(self) -> dict[str, Context]:
        """The contexts that the parts read, by name."""
        return union([*self.season.reads, *self.habit.reads])

    def forward(self, batch: SequenceBatch) -> Tensor:
        items = self.item_encoder()
        query = self._read_sequence(items, batch)
        effect = self.season(query, items, pick(batch, self.season))
        scores = self.head(effect.query, items)
        if effect.scores is not None:
            scores = scores + effect.scores
        return self.habit(scores, items, pick(batch, self.habit))

    def mask_unborn(self, scores: Tensor, batch: SequenceBatch) -> Tensor:
        """Sets the logits of items first seen after the request to ``-inf``: they are no candidates."""
        unborn = self.first_seen_s > batch.request_time_s[:, None]
        return scores.masked_fill(unborn, float("-inf"))

    def _read_sequence(self, items: Tensor, batch: SequenceBatch) -> Tensor:
        """``(N, D)``: what the events before each request say.

        Rows are gathered by ``F.embedding``: the gradient of plain indexing is summed in an order that changes from run
        to run where torch has several CPU threads.
        """
        padded = torch.cat([items, items.new_zeros(1, items.shape[1])])
        events = F.embedding(batch.item_ids, padded)  # (B, T, D)
        start = self.start.to(events.dtype).expand(len(events), 1, -1)
        inputs = torch.cat([start, events], dim=1)  # (B, T + 1, D)
        never = batch.is_padding.new_zeros(len(events), 1)
        hidden = self.backbone(inputs, torch.cat([never, batch.is_padding], dim=1))
        hidden = self.temporal(hidden, batch)
        row = batch.request_window * hidden.shape[1] + batch.request_position
        return F.embedding(row, hidden.flatten(0, 1))
