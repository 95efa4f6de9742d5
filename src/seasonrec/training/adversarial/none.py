"""No adversarial training."""

from __future__ import annotations

from dataclasses import dataclass

import lightning as L

from seasonrec.models.recommender import SeasonalRecommender


@dataclass(frozen=True)
class NoAdversarial:
    """Training on clean inputs only."""

    def callbacks(self, model: SeasonalRecommender) -> list[L.Callback]:
        return []
