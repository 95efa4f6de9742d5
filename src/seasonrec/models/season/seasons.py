"""Sequence of the chosen seasons."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from seasonrec.batches.context.base import Context
from seasonrec.models.components import ContextValues, SeasonEffect
from seasonrec.models.scoring import ScoredItems


class Seasons(nn.ModuleDict):
    """Seasons by name: each conditions the query in turn, and their scores are added in order.

    Without seasons, query and scores stay unchanged.

    Shape:
        - query: ``(N, D)``; items: ``(C, D)``; scores: ``(N, C)``.
    """

    def values(self) -> Any:  # typed loosely: seasons have more than a module
        return super().values()

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *arguments: Any) -> None:
        """Loads the weights; those of version 0.1.0 lack the name of a single season, which is added."""
        names = [name for name in state_dict if name.startswith(prefix)]
        own = f"{prefix}{next(iter(self), '')}."
        if len(self) == 1 and not any(name.startswith(own) for name in names):
            for name in names:
                state_dict[own + name.removeprefix(prefix)] = state_dict.pop(name)
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    @property
    def reads(self) -> tuple[Context, ...]:
        """Contexts that the seasons read."""
        return tuple(context for season in self.values() for context in season.reads)

    @property
    def adds_scores(self) -> bool:
        """True if a season adds scores to the logits."""
        return any(season.adds_scores for season in self.values())

    def conditioned(self, query: Tensor, context: ContextValues) -> Tensor:
        for season in self.values():
            query = season.conditioned(query, {c.name: context[c.name] for c in season.reads})
        return query

    def forward(self, query: Tensor, items: ScoredItems, context: ContextValues) -> SeasonEffect:
        total: Tensor | None = None
        for season in self.values():
            effect = season(query, items, {c.name: context[c.name] for c in season.reads})
            query = effect.query
            if effect.scores is not None:
                total = effect.scores if total is None else total + effect.scores
        return SeasonEffect(query, total)
