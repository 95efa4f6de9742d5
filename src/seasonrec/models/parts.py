"""The slots of a :class:`~seasonrec.models.recommender.SeasonalRecommender` and what each must give.

Letters: ``B`` windows, ``T`` events of a window, ``N`` requests, ``V`` items, ``D`` width, ``P`` (request, item) pairs.
A part is an ``nn.Module``; its constructor takes its options, then ``*, facts: Facts``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from seasonrec.data.batch import SequenceBatch
from seasonrec.data.context.base import Context

ContextValues = Mapping[str, Any]
"""Context by name: just what the part lists in ``reads``."""


class ItemEncoder(Protocol):
    """Gives every item a vector."""

    def __call__(self) -> Tensor:
        """``(V, D)`` float."""
        ...


class Backbone(Protocol):
    """Reads the event sequence. Position 0 holds a learned start vector, position ``p`` the ``p``-th event."""

    def __call__(self, inputs: Tensor, is_padding: Tensor) -> Tensor:
        """``(B, T + 1, D)``, ``(B, T + 1)`` bool to ``(B, T + 1, D)``; causal, padding is never read."""
        ...


class TemporalModule(Protocol):
    """Models how behaviour changes with time, on top of the backbone."""

    def __call__(self, hidden: Tensor, batch: SequenceBatch) -> Tensor:
        """``(B, T + 1, D)`` to ``(B, T + 1, D)``; causal."""
        ...


@dataclass(frozen=True)
class SeasonEffect:
    """What the season does to a request.

    Args:
        query: ``(N, D)``, the query conditioned on the request time.
        scores: ``(N, V)`` added to the logits, or None.
    """

    query: Tensor
    scores: Tensor | None


class Season(Protocol):
    """Knows what time of year it is when the user asks."""

    reads: tuple[Context, ...]

    def __call__(self, query: Tensor, items: Tensor, context: ContextValues) -> SeasonEffect:
        """Query ``(N, D)`` and items ``(V, D)`` to the season's effect."""
        ...


class Habit(Protocol):
    """Knows what this user buys again."""

    reads: tuple[Context, ...]

    def __call__(self, scores: Tensor, items: Tensor, context: ContextValues) -> Tensor:
        """Logits ``(N, V)`` so far and items ``(V, D)`` to logits ``(N, V)`` with the habit in them."""
        ...


class Head(Protocol):
    """Turns queries and items into logits."""

    def __call__(self, query: Tensor, items: Tensor) -> Tensor:
        """``(N, D)``, ``(V, D)`` to ``(N, V)``."""
        ...
