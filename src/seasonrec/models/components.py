"""Interfaces of the components of a :class:`~seasonrec.models.recommender.SeasonalRecommender`, one per slot.

Letters: ``B`` training windows, ``T`` events of a window, ``N`` requests, ``V`` items of the catalogue, ``C`` scored
items (all ``V``, or the batch's sample), ``D`` width, ``P`` (request, item) pairs.
A component is an ``nn.Module``; its constructor takes its options, then ``*, facts: Facts``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch.nn.functional as F
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.context.base import Context
from seasonrec.models.scoring import LinearScores, ScoredItems

ContextValues = Mapping[str, Any]
"""Contexts by name; a component gets only those that it lists in ``reads``."""


class ItemEncoder(Protocol):
    """Encoder of items as vectors."""

    def __call__(self, item_ids: Tensor | None = None) -> Tensor:
        """Returns the vectors ``(V, D)`` of all items, or ``(P, D)`` of the given ``item_ids`` (``(P,)`` int64)."""
        ...


class Behaviour(Protocol):
    """Reader of the behaviours of events, for example view, cart and buy."""

    def __call__(self, events: Tensor, batch: SequenceBatch) -> Tensor:
        """Maps the vectors of the events ``(B, T, D)`` to ``(B, T, D)``; where there is no event they stay zero."""
        ...


class Backbone(Protocol):
    """Encoder of event sequences. Position 0 has a learned start vector, position ``p`` the ``p``-th event."""

    def __call__(self, inputs: Tensor, is_padding: Tensor) -> Tensor:
        """Maps ``(B, T + 1, D)`` and ``(B, T + 1)`` bool to ``(B, T + 1, D)``, causally and without reading padding."""
        ...


@runtime_checkable
class ReadsAtPosition(Protocol):
    """Backbone that computes less if only one position of each sequence is needed, as in evaluation."""

    def at(self, inputs: Tensor, position: Tensor) -> Tensor:
        """Maps ``(B, T + 1, D)`` and positions ``(B,)`` int64 to the outputs ``(B, D)`` at these positions."""
        ...


@dataclass(frozen=True)
class SequenceReading:
    """Queries of the requests, read from their sequences.

    Args:
        query: ``(N, D)``.
        penalties: Scalars by name that training adds to its objective unweighted, for example a KL term.
    """

    query: Tensor
    penalties: Mapping[str, Tensor] = field(default_factory=dict)


class TemporalModule(Protocol):
    """Model of change over time, between the backbone's output and the requests' queries.

    Attributes:
        changes_hidden: False for a module that returns the backbone's output unchanged.
    """

    changes_hidden: bool

    def __call__(self, hidden: Tensor, batch: SequenceBatch) -> SequenceReading:
        """Maps ``(B, T + 1, D)`` to queries ``(N, D)``; a request reads no position after its own."""
        ...


@runtime_checkable
class FollowsTraining(Protocol):
    """Component that changes in the course of training, for example by a weight that grows."""

    def at_progress(self, share: float) -> None:
        """Receives the share of the planned optimiser steps that are done, in [0, 1), before every training batch."""
        ...


def at_requests(hidden: Tensor, batch: SequenceBatch) -> Tensor:
    """Gathers the vector at each request's position, ``(B, T + 1, D)`` to ``(N, D)``.

    ``F.embedding`` has a deterministic gradient. With several CPU threads, torch sums the gradient of plain indexing in
    a different order in each run.
    """
    row = batch.request_window * hidden.shape[1] + batch.request_position
    return F.embedding(row, hidden.flatten(0, 1))


@dataclass(frozen=True)
class SeasonEffect:
    """Effect of the season on each request.

    Args:
        query: ``(N, D)``, the query conditioned on the request time.
        scores: ``(N, C)``, added to the logits, or None.
    """

    query: Tensor
    scores: Tensor | None


class Season(Protocol):
    """Model of the season at the request time.

    Attributes:
        adds_scores: False if the effect never has scores, so that the logits may stay a product of factors.
    """

    reads: tuple[Context, ...]
    adds_scores: bool

    def conditioned(self, query: Tensor, context: ContextValues) -> Tensor:
        """Returns only the query ``(N, D)`` of the effect, for tasks that score no items."""
        ...

    def __call__(self, query: Tensor, items: ScoredItems, context: ContextValues) -> SeasonEffect:
        """Returns the effect on the query ``(N, D)`` and the ``C`` items; contexts with item columns have ``C``."""
        ...


class Habit(Protocol):
    """Model of a user's repeated purchases.

    Attributes:
        changes_scores: False if the logits are returned unchanged, so that they may stay a product of factors.
    """

    reads: tuple[Context, ...]
    changes_scores: bool

    def __call__(self, scores: Tensor, items: ScoredItems, context: ContextValues) -> Tensor:
        """Returns logits ``(N, C)`` with the habit, given the logits ``(N, C)`` without it and the ``C`` items."""
        ...


class MixtureComponent(Protocol):
    """Mixture of the model's probabilities with counted ones.

    Attributes:
        contexts: All contexts of the component.
        trend_contexts: Those of them that hold recent sales, which a wrong date moves.
        reads: Contexts that it reads now: none until it is fitted.
    """

    contexts: tuple[Context, ...]
    trend_contexts: tuple[Context, ...]
    reads: tuple[Context, ...]

    def __call__(self, scores: Tensor, context: ContextValues) -> Tensor:
        """Maps masked logits ``(N, V)`` to log probabilities ``(N, V)``, or returns them if it is not fitted."""
        ...


class Head(Protocol):
    """Scorer of items for queries."""

    def __call__(self, query: Tensor, items: ScoredItems) -> LinearScores:
        """Returns the factors of logits ``(N, C)`` for queries ``(N, D)`` and ``C`` items."""
        ...


class Sharing(Protocol):
    """Rule that gives each task its own query."""

    def __call__(self, query: Tensor, task: str) -> Tensor:
        """Returns the query ``(N, D)`` of the named task, given the shared query ``(N, D)``."""
        ...
