"""Frequency habit: the user's counts and decayed counts with learned weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seasonrec.batches.context.own_history import OwnHistoryContext
from seasonrec.batches.facts import Facts
from seasonrec.models.components import ContextValues
from seasonrec.models.kernels.matmul import Linear
from seasonrec.models.own_pairs import scored_pairs
from seasonrec.models.scoring import ScoredItems
from seasonrec.ranges import HalfLives, ranged


@ranged("habit")
class FrequencyHabit(nn.Module):
    """A linear model of the logarithms of the user's own counts.

    Args:
        half_lives_days: Half-lives ``H`` of the decayed counts.

    Shape:
        - scores: ``(N, C)``; output: ``(N, C)``.

    References:
        Hu et al., Modeling Personalized Item Frequency Information for Next-basket Recommendation (TIFU-KNN), SIGIR
        2020. Departures: weights are learned; neighbours are not used.
    """

    changes_scores = True

    def __init__(self, half_lives_days: HalfLives = (7.0, 28.0, 90.0), *, facts: Facts) -> None:
        super().__init__()
        self.context = OwnHistoryContext(tuple(half_lives_days))
        self.reads = (self.context,)
        self.weights = Linear(len(half_lives_days) + 2, 1)
        nn.init.constant_(self.weights.weight, 0.5)

    def forward(self, scores: Tensor, items: ScoredItems, context: ContextValues) -> Tensor:
        own, column = scored_pairs(context[self.context.name], items)
        rate = own.count / own.user_baskets[own.request].clamp(min=1)
        features = torch.cat([torch.log1p(own.count)[:, None], rate[:, None], torch.log1p(own.decayed)], dim=1)
        change = self.weights(features).squeeze(1).to(scores.dtype)
        return scores.index_put((own.request, column), change, accumulate=True)
