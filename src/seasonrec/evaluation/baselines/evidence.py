"""Evidence of the fitted counters: shares, lifts by day, and the user's own purchases, as known at the request."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.context.daily_counts import DailyCounts
from seasonrec.batches.context.last_year import request_and_known_days, window_a_year_ago
from seasonrec.batches.context.lift import Lift
from seasonrec.batches.context.rows import RowCache
from seasonrec.batches.context.shares import Shares
from seasonrec.batches.requests import Requests

KEPT_BYTES = 1 << 27
"""Limit of the memory for the tables of days, in bytes."""

Days = NDArray[np.int64]
"""``(Q, 2)`` days of the request and numbers of known days."""


@dataclass(frozen=True)
class Evidence:
    """Known facts of ``N`` requests. Letters: those of :class:`Shares`; ``L`` lifts, ``G`` own features.

    Args:
        shares: Probabilities under ``K`` parts.
        lifts: ``(Q, V, L)`` log ratios of recent sales, or those a year ago, to all earlier ones, in the shares' days.
        features: ``(P, G)`` own features of the shares' own pairs, the exponents' factors.
        user_baskets: ``(N,)`` number of known baskets of the user.
    """

    shares: Shares
    lifts: Tensor
    features: Tensor
    user_baskets: Tensor


@dataclass(frozen=True)
class LiftOptions:
    """Options of :class:`LiftTables`.

    Args:
        windows_days: Look-backs of the lifts of items and of their categories.
        half_windows_days: Days on each side of the day a year ago, for further lifts.
        prior_events: Strength of the shrinkage of the lifts towards 1, in expected events.
    """

    windows_days: tuple[int, ...] = ()
    half_windows_days: tuple[int, ...] = ()
    prior_events: float = 5.0

    @property
    def names(self) -> list[str]:
        """Names of the ``L`` lifts."""
        windows = [f"{days}d" for days in self.windows_days]
        windows += [f"last_year_{days}d" for days in self.half_windows_days]
        return [f"{what}_{window}" for what in ("item", "category") for window in windows]


class LiftTables:
    """Tables of the lifts of items and of their categories by day.

    Args:
        counts: Daily counts of the log.
        options: Look-backs and strength.
    """

    def __init__(self, counts: DailyCounts, options: LiftOptions) -> None:
        self.counts, self.options = counts, options
        self.lift = Lift(counts, options.prior_events)
        shape = (counts.num_items, len(options.names))
        self._known = RowCache(shape, np.float32, counts.num_days + 1, KEPT_BYTES)

    def __call__(self, requests: Requests) -> Tensor:
        """Returns the ``(Q, V, L)`` lifts of the requests' days."""
        days, _ = request_and_known_days(self.counts, requests)
        keys = [tuple(pair) for pair in days.tolist()]
        return torch.from_numpy(self._known(keys, lambda places, _: self._compute(days[places])))

    def _compute(self, days: Days) -> NDArray[np.float32]:
        known = days[:, 1]
        windows = [(np.maximum(known - length, 0), known) for length in self.options.windows_days]
        windows += [window_a_year_ago(days, half) for half in self.options.half_windows_days]
        if not windows:
            return np.zeros((len(days), self.counts.num_items, 0), dtype=np.float32)
        return np.concatenate(self.lift(known, windows), axis=-1, dtype=np.float32, casting="same_kind")
