"""The slots of a :class:`~seasonrec.models.recommender.SeasonalRecommender` and what each must give.

Letters: ``B`` windows, ``T`` events of a window, ``N`` requests, ``V`` items of the catalogue, ``C`` items that are
scored (all ``V``, or those of the batch's sample), ``D`` width, ``P`` (request, item) pairs.
A part is an ``nn.Module``; its constructor takes its options, then ``*, facts: Facts``.
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
"""Context by name: just what the part lists in ``reads``."""


class ItemEncoder(Protocol):
    """Gives every item a vector."""

    def __call__(self, item_ids: Tensor | None = None) -> Tensor:
        """``(V, D)`` float; the rows ``(P, D)`` of ``item_ids`` (``(P,)`` int64) alone where they are given."""
        ...


class Backbone(Protocol):
    """Reads the event sequence. Position 0 holds a learned start vector, position ``p`` the ``p``-th event."""

    def __call__(self, inputs: Tensor, is_padding: Tensor) -> Tensor:
        """``(B, T + 1, D)``, ``(B, T + 1)`` bool to ``(B, T + 1, D)``; causal, padding is never read."""
        ...


@runtime_checkable
class ReadsAtPosition(Protocol):
    """A backbone that saves work where one position of each sequence is asked for, as in evaluation."""

    def at(self, inputs: Tensor, position: Tensor) -> Tensor:
        """``(B, T + 1, D)``, ``(B,)`` int64 to ``(B, D)``: the backbone's output at that position."""
        ...


@dataclass(frozen=True)
class SequenceReading:
    """What a sequence says to each of its requests.

    Args:
        query: ``(N, D)``.
        penalties: Scalars by name that training adds to its objective as they are, for example a KL term.
    """

    query: Tensor
    penalties: Mapping[str, Tensor] = field(default_factory=dict)


class TemporalModule(Protocol):
    """Models how behaviour changes with time, on top of the backbone, and answers at the requests.

    Attributes:
        changes_hidden: False for a module that passes the backbone's output on.
    """

    changes_hidden: bool

    def __call__(self, hidden: Tensor, batch: SequenceBatch) -> SequenceReading:
        """``(B, T + 1, D)`` to queries ``(N, D)``; a request reads positions up to its own and no later one."""
        ...


def at_requests(hidden: Tensor, batch: SequenceBatch) -> Tensor:
    """``(B, T + 1, D)`` to ``(N, D)``: the vector at each request's position.

    Rows are gathered by ``F.embedding``: the gradient of plain indexing is summed in an order that changes from run to
    run where torch has several CPU threads.
    """
    row = batch.request_window * hidden.shape[1] + batch.request_position
    return F.embedding(row, hidden.flatten(0, 1))


@dataclass(frozen=True)
class SeasonEffect:
    """What the season does to a request.

    Args:
        query: ``(N, D)``, the query conditioned on the request time.
        scores: ``(N, C)`` added to the logits, or None.
    """

    query: Tensor
    scores: Tensor | None


class Season(Protocol):
    """Knows what time of year it is when the user asks.

    Attributes:
        adds_scores: False for a season whose effect never has scores, so that the logits may stay a product of factors.
    """

    reads: tuple[Context, ...]
    adds_scores: bool

    def conditioned(self, query: Tensor, context: ContextValues) -> Tensor:
        """Query ``(N, D)`` to the effect's query alone, for tasks that score no items."""
        ...

    def __call__(self, query: Tensor, items: ScoredItems, context: ContextValues) -> SeasonEffect:
        """Query ``(N, D)`` and ``C`` items to the season's effect; values of the context by item have ``C`` columns."""
        ...


class Habit(Protocol):
    """Knows what this user buys again.

    Attributes:
        changes_scores: False for a habit that passes the logits on, so that they may stay a product of factors.
    """

    reads: tuple[Context, ...]
    changes_scores: bool

    def __call__(self, scores: Tensor, items: ScoredItems, context: ContextValues) -> Tensor:
        """Logits ``(N, C)`` so far and the ``C`` items to logits ``(N, C)`` with the habit in them."""
        ...


class Head(Protocol):
    """Turns queries and items into logits."""

    def __call__(self, query: Tensor, items: ScoredItems) -> LinearScores:
        """Queries ``(N, D)`` and ``C`` items to the factors of logits ``(N, C)``."""
        ...


class Sharing(Protocol):
    """How the tasks share what the sequence and the season say."""

    def __call__(self, query: Tensor, task: str) -> Tensor:
        """``(N, D)`` to what the task of that name reads of it, ``(N, D)``."""
        ...
