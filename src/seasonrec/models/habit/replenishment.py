"""Replenishment habit: a small network that predicts repeat purchases from counts and times."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seasonrec.batches.context.base import Context
from seasonrec.batches.context.demand import Demand
from seasonrec.batches.context.own_history import LAST_BASKETS, OwnHistory, OwnHistoryContext
from seasonrec.batches.context.rhythm import RHYTHM
from seasonrec.batches.facts import Facts
from seasonrec.errors import UserError
from seasonrec.models.components import ContextValues
from seasonrec.models.kernels.matmul import Linear
from seasonrec.models.own_pairs import scored_pairs
from seasonrec.models.scoring import ScoredItems
from seasonrec.ranges import HalfLives, Width, ranged

GAP_DAYS = 365.0
"""Days since the last visit of a user without one."""

LEAST_LOG_SHARE = -20.0
"""Log share of an item that was first sold on the day itself, and so is no candidate of the whole day."""

SOON_DAYS = 0.01
"""A quarter of an hour, added to times before their logarithm: visits of one hour differ from those of one day."""


@ranged("habit")
class ReplenishmentHabit(nn.Module):
    """A network that scores each item that the user bought before, by frequency, recency and purchase interval.

    The network also reads the logit from sequence and season, so that it can confirm or overrule it: embeddings fitted
    to all users say little about an item that this user buys every week.

    Args:
        half_lives_days: Half-lives ``H`` of the decayed counts.
        hidden_dim: Width of the network's first layer; the second has half of it.
        item_dim: Width of the habit's own item vectors.
        visit: Whether the network also reads the visit: how well its hour and weekday fit the user's purchases of the
            item and of all items, the time since the last visit, and the size of the user's baskets.
        demand: Whether the network also reads the expected demand of the item, so that a season tilts the habit. Needs
            ``demand=multinomial``.

    Raises:
        ValueError: If ``demand`` is set and the model has none.

    Shape:
        - scores: ``(N, C)``; output: the same.

    References:
        Ariannezhad et al., ReCANet: A Repeat Consumption-Aware Neural Network for Next Basket Recommendation in Grocery
        Shopping, SIGIR 2022. Departure: counts, decays and intervals replace its recurrent encoder.
    """

    changes_scores = True
    item_interval_days: Tensor

    def __init__(
        self,
        half_lives_days: HalfLives = (7.0, 28.0, 90.0),
        hidden_dim: Width = 64,
        item_dim: Width = 16,
        visit: bool = False,
        demand: bool = False,
        *,
        facts: Facts,
    ) -> None:
        super().__init__()
        self.context = OwnHistoryContext(tuple(half_lives_days))
        if demand and facts.demand is None:
            raise UserError("habit.demand=true reads an expected demand, got demand=none; set demand=multinomial.")
        self.demand = facts.demand if demand else None
        self.reads: tuple[Context, ...] = (self.context, *([] if self.demand is None else [self.demand]))
        self.item_vectors = nn.Embedding(facts.spec.num_items, item_dim)
        nn.init.normal_(self.item_vectors.weight, std=0.1)
        self.register_buffer("item_interval_days", facts.item_interval_days, persistent=False)
        self.visit = visit
        num_features = len(half_lives_days) + 10 + LAST_BASKETS + (2 * RHYTHM + 4) * visit + demand
        self.network = nn.Sequential(
            Linear(num_features + item_dim, hidden_dim),
            nn.ReLU(),
            Linear(hidden_dim, hidden_dim // 2),
            nn.ReLU(),
            Linear(hidden_dim // 2, 1),
        )

    def forward(self, scores: Tensor, items: ScoredItems, context: ContextValues) -> Tensor:
        every: OwnHistory = context[self.context.name]
        own, column = scored_pairs(every, items)
        so_far = scores[own.request, column]
        features = torch.cat(
            [
                _features(own, self.item_interval_days[own.item]),
                (so_far[:, None] + 7.0) / 3.0,
                self.item_vectors(own.item),
                *([self._visit(every, items)] if self.visit else []),
                *([] if self.demand is None else [_expected(context[self.demand.name], own, column)]),
            ],
            dim=1,
        )
        change = self.network(features).squeeze(1).to(scores.dtype)
        return scores.index_put((own.request, column), change, accumulate=True)

    @staticmethod
    def _visit(every: OwnHistory, items: ScoredItems) -> Tensor:
        """Returns the features of the visit of the scored pairs; a sample must not change what is known of a user."""
        features = _visit(every)
        return features if items.ids is None else features[items.columns(every.item)[0]]


def _expected(demand: Demand, own: OwnHistory, column: Tensor) -> Tensor:
    """Returns the ``(P, 1)`` expected log shares of the pairs, in order one."""
    log_share = demand.log_share[demand.row[own.request], column]
    return (log_share.clamp(min=LEAST_LOG_SHARE)[:, None] + 7.0) / 3.0


def _features(own: OwnHistory, item_interval_days: Tensor) -> Tensor:
    """Returns ``(P, H + 12)`` features of order one."""
    baskets = own.user_baskets[own.request].clamp(min=1)
    once = (own.own_interval_days == 0).float()  # bought once: the user has no interval yet
    interval = torch.where(once > 0, item_interval_days, own.own_interval_days)
    due = torch.log((own.since_days + 0.5) / (interval + 0.5))
    due_by_item = torch.log((own.since_days + 0.5) / (item_interval_days + 0.5))
    columns = [
        torch.log1p(own.count),
        torch.log(own.count / baskets) / 2,
        torch.log1p(own.since_days) / 2,
        torch.log1p(interval) / 2,
        once,
        torch.log1p(item_interval_days) / 2,
        due,
        due_by_item,
        torch.log1p(baskets) / 2,
    ]
    return torch.cat([torch.stack(columns, dim=1), torch.log1p(own.decayed), own.in_last_baskets], dim=1)


def _visit(own: OwnHistory) -> Tensor:
    """Returns ``(P, 16)`` features of order one that tell visits of one user apart."""
    num_requests = len(own.user_baskets)
    summed = torch.cat([own.rhythm, torch.ones_like(own.count)[:, None]], dim=1) * own.count[:, None]
    total = summed.new_zeros(num_requests, summed.shape[1]).index_add_(0, own.request, summed)  # (N, 7)
    events = total[:, -1].clamp(min=1.0)
    gap_days = own.since_days.new_full((num_requests,), GAP_DAYS)
    gap_days = gap_days.scatter_reduce(0, own.request, own.since_days, "amin")
    by_request = torch.cat(
        [
            total[:, :-1] / events[:, None],
            torch.log(gap_days + SOON_DAYS)[:, None] / 2,
            torch.log1p(events / own.user_baskets.clamp(min=1))[:, None],
            torch.log1p(events)[:, None] / 3,
        ],
        dim=1,
    )
    since = torch.log(own.since_days + SOON_DAYS)[:, None] / 2
    return torch.cat([own.rhythm, since, by_request[own.request]], dim=1)
