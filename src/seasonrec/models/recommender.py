"""The recommender, which runs its components in a fixed order."""

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
from seasonrec.batches.candidates import NEVER_S
from seasonrec.batches.context.base import Context, union
from seasonrec.batches.facts import Facts
from seasonrec.batches.labels.base import Labels
from seasonrec.batches.labels.base import union as union_of_labels
from seasonrec.errors import UserError
from seasonrec.models.behaviour.none import NoBehaviour
from seasonrec.models.components import ReadsAtPosition, SequenceReading
from seasonrec.models.context_use import pick
from seasonrec.models.demand.none import NoDemand
from seasonrec.models.mixture.none import NoMixture
from seasonrec.models.peft.base import Peft
from seasonrec.models.scoring import LinearScores, ScoredItems
from seasonrec.models.season.seasons import Seasons
from seasonrec.models.sharing.hard import HardSharing
from seasonrec.models.task.base import MAIN_TASK, TaskFeatures, TaskOutput

Builder = Callable[..., Any]
"""Builds a component from ``facts=``; its options are bound."""


@dataclass(frozen=True)
class Reading:
    """Queries of a batch and the items that are scored.

    Args:
        query: ``(N, D)``.
        items: ``C`` items.
        penalties: Scalars by name that training adds to its objective.
        scores: Returns the logits ``(N, C)`` of the next item in float32, ``-inf`` for items that are no candidates;
            computed at the first call and then cached.
    """

    query: Tensor
    items: ScoredItems
    penalties: Mapping[str, Tensor]
    scores: Callable[[], Tensor]


class SeasonalRecommender(nn.Module):
    """Model that scores every item for a request: the user's history before a time and that time.

    The order is item encoder, behaviour, backbone, temporal module, season, sharing, head, the season's scores, habit,
    mixture. The demand is fitted before training and frozen; habit and mixture read it as a context.
    The habit comes late because it reads the scores of the others before it decides how far to trust the user's own
    counts. The mixture is fitted when training has ended, and is part of :meth:`forward` only. Further tasks read the
    query after season and sharing. Those that rank items start from the next item's scores.

    Args:
        item_encoder: Encodes items; the same vectors are input of the sequence and scored (tied).
        behaviour: Adds what the user did with the item to each event of the sequence.
        backbone: Encodes the sequence.
        temporal: Models change over time on top of the backbone.
        season: Conditions the query on the request time and adds seasonal scores.
        demand: Expects what all users together will buy on the day of a request.
        habit: Adds scores of repeat purchases.
        mixture: Mixes the probabilities with counted ones.
        head: Scores items for queries.
        sharing: Gives each task its query.
        task: Heads of further tasks by name.

    Shape:
        - output: logits ``(N, C)`` of the whole catalogue (``C = V``) or of the batch's sample, before
          :meth:`mask_unavailable`; with a fitted mixture, log probabilities ``(N, V)`` after it.
    """

    first_seen_s: Tensor
    peft: Peft | None = None
    """The tuning method of the language models in the components, if any."""

    def __init__(
        self,
        *,
        item_encoder: Builder,
        backbone: Builder,
        temporal: Builder,
        habit: Builder,
        head: Builder,
        behaviour: Builder = NoBehaviour,
        sharing: Builder = HardSharing,
        demand: Builder = NoDemand,
        mixture: Builder = NoMixture,
        season: Mapping[str, Builder] | None = None,
        task: Mapping[str, Builder] | None = None,
        facts: Facts,
    ) -> None:
        super().__init__()
        self.item_encoder = item_encoder(facts=facts)
        self.behaviour = behaviour(facts=facts)
        self.backbone = backbone(facts=facts)
        self.temporal = temporal(facts=facts)
        if not hasattr(self.temporal, "changes_hidden"):
            raise UserError(
                f"the temporal module {type(self.temporal).__name__} must have an attribute changes_hidden: False if "
                "it passes the backbone's output on, else True."
            )
        self.season = Seasons({name: component(facts=facts) for name, component in (season or {}).items()})
        self.demand = demand(facts=facts)
        facts = replace(facts, demand=self.demand.context)
        self.habit = habit(facts=facts)
        self.mixture = mixture(facts=facts)
        self.head = head(facts=facts)
        self.start = nn.Parameter(torch.randn(facts.embedding_dim) * facts.embedding_dim**-0.5)
        self.sharing = sharing(facts=facts, tasks=(MAIN_TASK, *(task or {})))
        self.task = nn.ModuleDict({name: head(facts=facts) for name, head in (task or {}).items()})
        self._frozen: Tensor | None = None
        self.register_buffer("first_seen_s", facts.item_first_seen_s, persistent=False)

    def contexts(self, with_tasks: bool = True, with_unfitted: bool = False) -> dict[str, Context]:
        """Returns the contexts that the components read, by name.

        Args:
            with_tasks: Whether the further tasks take part.
            with_unfitted: Whether a mixture takes part that is not fitted yet, and so reads nothing.
        """
        readers: list[Any] = [self.season, self.habit, self.mixture, *(self.task.values() if with_tasks else ())]
        found = [context for reader in readers for context in reader.reads]
        return union([*found, *(self.mixture.contexts if with_unfitted else ())])

    def labels(self) -> dict[str, Labels]:
        """Returns the labels that the further tasks need, by name."""
        heads: list[Any] = [*self.task.values()]
        return union_of_labels(label for head in heads for label in head.labels)

    def forward(self, batch: SequenceBatch) -> Tensor:
        reading = self.read(batch)
        scores = self.score(reading.query, reading.items, batch)
        if batch.sample is not None or not self.mixture.reads:
            return scores
        return self.mixture(self.mask_unavailable(scores.float(), batch), pick(batch, self.mixture))

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compiles each component by itself: losses call them one by one, and contexts differ from batch to batch."""
        single = (self.item_encoder, self.backbone, self.temporal, self.season, self.sharing, self.habit, self.head)
        for component in (*single, *self.task.values()):
            component.compile(*args, **kwargs)

    @property
    def scores_are_linear(self) -> bool:
        """True if neither season nor habit adds scores, so that the logits are the head's product."""
        return not (self.season.adds_scores or self.habit.changes_scores)

    def read(self, batch: SequenceBatch) -> Reading:
        """Encodes the sequences as queries, and the items that are scored."""
        items, events = self._encode(batch)
        sequence = self._read_sequence(events, batch)

        def scores() -> Tensor:
            return self.mask_unavailable(self.score(sequence.query, items, batch).float(), batch)

        return Reading(sequence.query, items, sequence.penalties, cache(scores))

    def tasks_of(
        self, reading: Reading, batch: SequenceBatch, names: Collection[str] | None = None
    ) -> dict[str, TaskOutput]:
        """Returns the outputs of the further tasks by name.

        Args:
            reading: The result of :meth:`read` for the batch.
            batch: Requests with the labels of the tasks.
            names: Tasks that are computed; None means all.
        """
        if not self.task:
            return {}
        query = self.season.conditioned(reading.query, pick(batch, self.season))
        outputs = {}
        own_weights = next(self.sharing.parameters(), None) is not None  # DDP needs a gradient of each, even a zero
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
        """Returns the logits ``(N, C)`` of the batch's requests, given the query and the items of :meth:`read`."""
        effect = self.season(query, items, pick(batch, self.season))
        scores = self.head(self.sharing(effect.query, MAIN_TASK), items).dense()
        if effect.scores is not None:
            scores = scores + effect.scores
        return self.habit(scores, items, pick(batch, self.habit))

    def mask_unavailable(self, scores: Tensor, batch: SequenceBatch) -> Tensor:
        """Sets the logits ``(N, C)`` of items that are no candidates to ``-inf``.

        A request without any candidate among the scored items keeps its logits: it has no target, and a softmax over
        nothing has no gradient.
        """
        first_seen_s = self.first_seen_s if batch.sample is None else self.first_seen_s[batch.sample.item_ids]
        until_s = torch.where(batch.candidates_until_s > first_seen_s.min(), batch.candidates_until_s, NEVER_S)
        unavailable = first_seen_s >= until_s[:, None]
        return scores.masked_fill(unavailable, float("-inf"))

    @contextmanager
    def frozen_items(self) -> Iterator[None]:
        """Caches the vectors of the whole catalogue for an evaluation over many batches.

        The weights must not change in the meantime, and the item encoder gets no gradient.
        """
        with torch.no_grad():
            self._frozen = self.item_encoder()
        try:
            yield
        finally:
            self._frozen = None

    def _encode(self, batch: SequenceBatch) -> tuple[ScoredItems, Tensor]:
        """Returns the items that are scored, and the vectors ``(B, T, D)`` of the events, zero at padding.

        ``F.embedding`` gathers the rows for the reason given in :func:`~seasonrec.models.components.at_requests`.
        """
        num_items = len(self.first_seen_s)
        if batch.sample is None:
            vectors = self.item_encoder() if self._frozen is None else self._frozen
            return ScoredItems(vectors, None, num_items), F.embedding(batch.item_ids, _padded(vectors))
        ids, place = torch.unique(torch.cat([batch.item_ids.flatten(), batch.sample.item_ids]), return_inverse=True)
        known = ids[ids < num_items]  # all but the number of padding, which is the last
        vectors = self.item_encoder(known)
        events = F.embedding(place[: batch.item_ids.numel()].view_as(batch.item_ids), _padded(vectors))
        scored = F.embedding(place[batch.item_ids.numel() :], vectors)
        return ScoredItems(scored, batch.sample.item_ids, num_items), events

    def _read_sequence(self, events: Tensor, batch: SequenceBatch) -> SequenceReading:
        """Encodes the events ``(B, T, D)`` before each request."""
        events = self.behaviour(events, batch)
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
        """Returns True if this is no training and only one position of each window is read."""
        if self.training or self.temporal.changes_hidden or not isinstance(self.backbone, ReadsAtPosition):
            return False
        windows = torch.arange(len(batch.item_ids), device=batch.request_window.device)
        return torch.equal(batch.request_window, windows)


def _padded(vectors: Tensor) -> Tensor:
    """Appends a row of zeros, the vector of padding."""
    return torch.cat([vectors, vectors.new_zeros(1, vectors.shape[1])])
