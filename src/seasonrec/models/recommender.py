"""The recommender: stages behind Protocols, in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.context.base import Context, union
from seasonrec.batches.facts import Facts
from seasonrec.batches.labels.base import Labels
from seasonrec.batches.labels.base import union as union_of_labels
from seasonrec.errors import UserError
from seasonrec.models.components import ReadsAtPosition, SequenceReading
from seasonrec.models.context_use import pick
from seasonrec.models.peft.base import Peft
from seasonrec.models.scoring import LinearScores, ScoredItems
from seasonrec.models.season.seasons import Seasons
from seasonrec.models.sharing.hard import HardSharing
from seasonrec.models.task.base import MAIN_TASK, TaskFeatures, TaskOutput

Part = Callable[..., Any]
"""A part with its options bound; called with ``facts=``."""


@dataclass(frozen=True)
class Reading:
    """The queries of a batch and the items that are scored.

    Args:
        query: ``(N, D)``.
        items: ``C`` items.
        penalties: Scalars by name that training adds to its objective.
        scores: Gives the logits ``(N, C)`` of the next item in float32, ``-inf`` for items that are no candidates; made
            when they are first asked for, and once.
    """

    query: Tensor
    items: ScoredItems
    penalties: Mapping[str, Tensor]
    scores: Callable[[], Tensor]


class SeasonalRecommender(nn.Module):
    """Scores every item for a query ``(what the user did before t, the request time t)``.

    item encoder -> backbone -> temporal -> season -> sharing -> head -> season's scores -> habit. The habit comes
    last because it must see what the rest says of an item before it decides how far to trust the user's own counts.
    Other tasks read the query as the season and the sharing leave it, and those that rank items start from the next
    item's scores, see :meth:`tasks_of`.

    Args:
        item_encoder: Gives item vectors; the same read the sequence and are scored (tied).
        backbone: Reads the sequence.
        temporal: Models change over time on top of the backbone.
        season: Conditions the query on the request time and adds seasonal scores.
        habit: Adds what the user buys again.
        head: Turns query and items into logits.
        sharing: How the tasks share the query.
        task: Heads of further tasks by name.
        facts: Facts of the data.

    Shape:
        - output: ``(N, C)`` logits: of the whole catalogue, ``C = V``, or of the items of the batch's sample.
          :meth:`mask_unavailable` leaves the candidates.
    """

    first_seen_s: Tensor
    peft: Peft | None = None
    """The tuning of the language models inside, if there is any."""

    def __init__(
        self,
        *,
        item_encoder: Part,
        backbone: Part,
        temporal: Part,
        habit: Part,
        head: Part,
        sharing: Part = HardSharing,
        season: Mapping[str, Part] | None = None,
        task: Mapping[str, Part] | None = None,
        facts: Facts,
    ) -> None:
        super().__init__()
        self.item_encoder = item_encoder(facts=facts)
        self.backbone = backbone(facts=facts)
        self.temporal = temporal(facts=facts)
        if not hasattr(self.temporal, "changes_hidden"):
            raise UserError(
                f"the temporal module {type(self.temporal).__name__} must have an attribute changes_hidden: False if "
                "it passes the backbone's output on, else True."
            )
        self.season = Seasons({name: component(facts=facts) for name, component in (season or {}).items()})
        self.habit = habit(facts=facts)
        self.head = head(facts=facts)
        self.start = nn.Parameter(torch.randn(facts.embedding_dim) * facts.embedding_dim**-0.5)
        self.sharing = sharing(facts=facts, tasks=(MAIN_TASK, *(task or {})))
        self.task = nn.ModuleDict({name: head(facts=facts) for name, head in (task or {}).items()})
        self._frozen: Tensor | None = None
        self.register_buffer("first_seen_s", facts.item_first_seen_s, persistent=False)

    def contexts(self, with_tasks: bool = True) -> dict[str, Context]:
        """Returns the contexts that the parts read, by name; without those that further tasks alone read, for
        ranking.
        """
        parts: list[Any] = [self.season, self.habit, *(self.task.values() if with_tasks else ())]
        return union([context for part in parts for context in part.reads])

    def labels(self) -> dict[str, Labels]:
        """Returns what the heads of the further tasks must be told, by name."""
        heads: list[Any] = [*self.task.values()]
        return union_of_labels(label for head in heads for label in head.labels)

    def forward(self, batch: SequenceBatch) -> Tensor:
        reading = self.read(batch)
        return self.score(reading.query, reading.items, batch)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compiles every part by itself: losses call the stages one by one, and contexts differ from batch to batch."""
        parts = (self.item_encoder, self.backbone, self.temporal, self.season, self.sharing, self.habit, self.head)
        for part in (*parts, *self.task.values()):
            part.compile(*args, **kwargs)

    @property
    def scores_are_linear(self) -> bool:
        """True if the logits are the head's product alone, because neither season nor habit adds to them."""
        return not (self.season.adds_scores or self.habit.changes_scores)

    def read(self, batch: SequenceBatch) -> Reading:
        """Returns what the sequences say, and the items that are to be scored."""
        items, events = self._encode(batch)
        said = self._read_sequence(events, batch)

        def scores() -> Tensor:
            return self.mask_unavailable(self.score(said.query, items, batch).float(), batch)

        return Reading(said.query, items, said.penalties, cache(scores))

    def tasks_of(
        self, reading: Reading, batch: SequenceBatch, names: Collection[str] | None = None
    ) -> dict[str, TaskOutput]:
        """Returns what the heads of the further tasks say of a batch with their labels, by name.

        Args:
            reading: What :meth:`read` gave of the batch.
            batch: The requests.
            names: Tasks that are asked; None asks all.
        """
        if not self.task:
            return {}
        query = self.season.conditioned(reading.query, pick(batch, self.season))
        outputs = {}
        own_weights = next(self.sharing.parameters(), None) is not None  # DDP wants a gradient of each, if only a zero
        for name, head in self.task.items():
            if names is not None and name not in names:
                continue
            own = self.sharing(query, name)
            features = TaskFeatures(own, reading.items, lambda view: self.read(view).query, reading.scores)
            output = head(features, batch, pick(batch, head))
            outputs[name] = replace(output, loss=output.loss + 0.0 * own.sum()) if own_weights else output
        return outputs

    def linear_scores(self, query: Tensor, items: ScoredItems, batch: SequenceBatch) -> LinearScores:
        """Returns the factors of the logits ``(N, C)`` of a model whose ``scores_are_linear``."""
        effect = self.season(query, items, pick(batch, self.season))
        return self.head(self.sharing(effect.query, MAIN_TASK), items)

    def score(self, query: Tensor, items: ScoredItems, batch: SequenceBatch) -> Tensor:
        """Returns the logits ``(N, C)`` of the batch's requests, given what :meth:`read` says of them."""
        effect = self.season(query, items, pick(batch, self.season))
        scores = self.head(self.sharing(effect.query, MAIN_TASK), items).dense()
        if effect.scores is not None:
            scores = scores + effect.scores
        return self.habit(scores, items, pick(batch, self.habit))

    def mask_unavailable(self, scores: Tensor, batch: SequenceBatch) -> Tensor:
        """Sets the logits ``(N, C)`` of items first seen after the request to ``-inf``: they are no candidates."""
        first_seen_s = self.first_seen_s if batch.sample is None else self.first_seen_s[batch.sample.item_ids]
        unavailable = first_seen_s > batch.request_time_s[:, None]
        return scores.masked_fill(unavailable, float("-inf"))

    @contextmanager
    def frozen_items(self) -> Iterator[None]:
        """Computes the vectors of the whole catalogue once, for an evaluation over many batches.

        The weights must not change in the meantime; no gradient reaches the item encoder.
        """
        with torch.no_grad():
            self._frozen = self.item_encoder()
        try:
            yield
        finally:
            self._frozen = None

    def _encode(self, batch: SequenceBatch) -> tuple[ScoredItems, Tensor]:
        """Returns the items that are scored, and the vectors ``(B, T, D)`` of the events, zero where there is no event.

        Rows are gathered by ``F.embedding``: the gradient of plain indexing is summed in an order that changes from run
        to run where torch has several CPU threads.
        """
        num_items = len(self.first_seen_s)
        if batch.sample is None:
            vectors = self.item_encoder() if self._frozen is None else self._frozen
            return ScoredItems(vectors, None, num_items), F.embedding(batch.item_ids, _padded(vectors))
        ids, place = torch.unique(torch.cat([batch.item_ids.flatten(), batch.sample.item_ids]), return_inverse=True)
        known = ids[ids < num_items]  # all but the number that stands for no event, which is the last
        vectors = self.item_encoder(known)
        events = F.embedding(place[: batch.item_ids.numel()].view_as(batch.item_ids), _padded(vectors))
        scored = F.embedding(place[batch.item_ids.numel() :], vectors)
        return ScoredItems(scored, batch.sample.item_ids, num_items), events

    def _read_sequence(self, events: Tensor, batch: SequenceBatch) -> SequenceReading:
        """Returns what the events ``(B, T, D)`` before each request say."""
        start = self.start.to(events.dtype).expand(len(events), 1, -1)
        inputs = torch.cat([start, events], dim=1)  # (B, T + 1, D)
        if self._one_position_each(batch):
            return SequenceReading(self.backbone.at(inputs, batch.request_position))
        never = batch.is_padding.new_zeros(len(events), 1)
        hidden = self.backbone(inputs, torch.cat([never, batch.is_padding], dim=1))
        reading = self.temporal(hidden, batch)
        if not isinstance(reading, SequenceReading):
            raise UserError(
                f"the temporal module {type(self.temporal).__name__} must give a SequenceReading of the requests' "
                f"queries, got {type(reading).__name__}; wrap what it gives: SequenceReading(query)."
            )
        return reading

    def _one_position_each(self, batch: SequenceBatch) -> bool:
        """Returns whether, outside training, one position of each window is all that is ever read."""
        if self.training or self.temporal.changes_hidden or not isinstance(self.backbone, ReadsAtPosition):
            return False
        windows = torch.arange(len(batch.item_ids), device=batch.request_window.device)
        return torch.equal(batch.request_window, windows)


def _padded(vectors: Tensor) -> Tensor:
    """Returns ``(P + 1, D)``: one row of zeros more, for places without an event."""
    return torch.cat([vectors, vectors.new_zeros(1, vectors.shape[1])])
