"""Own features: factors of an item's probability from the user's purchases of it."""

from __future__ import annotations

import torch
from torch import Tensor

from seasonrec.batches.context.own_history import OwnHistory

OWN_FEATURES = (
    "own",
    "log_count",
    "log_rate",
    "log_days_since",
    "log_days_since_squared",
    "bought_today",
    "in_last_basket",
    "in_second_last_basket",
    "in_third_last_basket",
    "has_interval",
    "log_days_since_over_interval",
    "log_days_since_over_interval_squared",
)
"""Names of the ``G`` features."""


def own_features(own: OwnHistory) -> Tensor:
    """Returns ``(P, G)`` features of the pairs, each of the order of 1 so that one penalty fits all."""
    since = torch.log1p(own.since_days) / 3.0
    again = (own.own_interval_days > 0).float()
    overdue = torch.log((own.since_days + 1.0) / (own.own_interval_days + 1.0)).clamp(-3.0, 3.0) * again
    columns = [
        torch.ones_like(since),
        torch.log1p(own.count),
        torch.log(own.count / own.user_baskets[own.request].clamp(min=1.0)),
        since,
        since.square(),
        (own.since_days < 0.5).float(),
        *own.in_last_baskets.unbind(1),
        again,
        overdue,
        overdue.square(),
    ]
    return torch.stack(columns, dim=1)
