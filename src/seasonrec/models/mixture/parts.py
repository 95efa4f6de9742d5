"""Parts of a mixture besides the model: recent sales, the user's own purchases, newborn items, last year."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seasonrec.batches.context.base import Context
from seasonrec.batches.context.demand import Demand, DemandContext
from seasonrec.batches.context.share_index import SharesContext
from seasonrec.batches.context.shares import COUNTED, Shares
from seasonrec.models.components import ContextValues


class CountedParts(nn.Module):
    """Probabilities of the candidates by counting.

    The parts are shares of the sales of recent days, of the user's own purchases with a half-life, a uniform floor, a
    *newborn* share (uniform over the candidates without a sale before the day on which the known history ends), the
    sales around the same day a year ago where the log has them, and the expected demand where a model has one.

    Letters: ``N`` requests, ``M`` targets, ``V`` items, ``E`` parts, in the order of ``names``.

    Args:
        windows_days: Look-backs of the recent sales in whole days.
        own_half_lives_days: Half-lives of the own purchases in days.
        last_year_days: Days on each side of the day a year ago.
        has_year: Whether the log covers a year before the validation cut.
        demand: Context of the expected demand; None without one.
    """

    has_year: Tensor

    def __init__(
        self,
        windows_days: tuple[int, ...],
        own_half_lives_days: tuple[float, ...],
        last_year_days: int,
        has_year: bool,
        demand: DemandContext | None = None,
    ) -> None:
        super().__init__()
        self.sales = SharesContext(tuple(windows_days), (), (last_year_days,), (), name="sales_shares")
        self.own = SharesContext((), (), (), tuple(own_half_lives_days), name="own_shares")
        self.demand = demand
        self.by_day: tuple[Context, ...] = (self.sales, *([] if demand is None else [demand]))
        self.contexts: tuple[Context, ...] = (*self.by_day, self.own)
        expected = [] if demand is None else [demand.name]
        self.names = (*self.own.own_names, *self.sales.day_names, *expected, "uniform", "newborn")
        self.register_buffer("has_year", torch.tensor(has_year))  # saved: a refit knows more weeks than the fit

    def present(self, scores: Tensor, context: ContextValues) -> Tensor:
        """Returns ``(N, E)`` bool: whether a part gives any candidate a probability."""
        sales, own = self._shares(context)
        candidates, newborn = self._counted(scores, sales)
        counted = torch.stack([candidates.any(1), newborn.any(1)], dim=1)
        recent, last_year = torch.split(sales.present[:, :-COUNTED], [len(self.sales.windows_days), 1], dim=1)
        expected = [counted[:, :1]] if self.demand is not None else []
        return torch.cat([own.present[:, :-COUNTED], recent, last_year & self.has_year, *expected, counted], dim=1)

    def at(self, scores: Tensor, context: ContextValues, request: Tensor, item: Tensor) -> Tensor:
        """Returns ``(M, E)`` probabilities of candidates, given the requests' logits ``(N, V)``."""
        sales, own = self._shares(context)
        counted = [mask[request, item] / mask.sum(1).clamp(min=1)[request] for mask in self._counted(scores, sales)]
        shares = [one.at(request, item)[:, :-COUNTED] for one in (own, sales)]
        expected = self._expected(context)
        demand = [] if expected is None else [expected.log_share[expected.row[request], item].exp()[:, None]]
        return torch.cat([*shares, *demand, torch.stack(counted, dim=1)], dim=1)

    def mixed(self, scores: Tensor, context: ContextValues, weights: Tensor) -> Tensor:
        """Returns the ``(N, V)`` sum of the parts times weights ``(N, E)``; a part that is absent adds nothing."""
        sales, own = self._shares(context)
        num_own, num_sales = len(self.own.own_names), len(self.sales.day_names)
        num_expected = weights.shape[1] - num_own - num_sales - COUNTED
        by_own, by_sales, by_demand, by_count = torch.split(weights, [num_own, num_sales, num_expected, COUNTED], dim=1)
        total = _sum(own, by_own) + _sum(sales, by_sales)
        if (expected := self._expected(context)) is not None:
            total = total + expected.log_share.exp()[expected.row] * by_demand
        for mask, weight in zip(self._counted(scores, sales), by_count.unbind(1), strict=True):
            total = total + mask * (weight / mask.sum(1).clamp(min=1))[:, None]
        return total

    def _expected(self, context: ContextValues) -> Demand | None:
        return None if self.demand is None else context[self.demand.name]

    def _shares(self, context: ContextValues) -> tuple[Shares, Shares]:
        return context[self.sales.name], context[self.own.name]

    def _counted(self, scores: Tensor, sales: Shares) -> tuple[Tensor, Tensor]:
        """Returns ``(N, V)`` bool masks of the candidates, and of those without a sale before the known day."""
        candidates = scores > float("-inf")
        sold = sales.by_day[..., -COUNTED] > 0  # (Q, V)
        return candidates, candidates & ~sold[sales.row]


def _sum(shares: Shares, weights: Tensor) -> Tensor:
    """Returns ``(N, V)``: the first parts times ``(N, K - 2)`` weights, which need not sum to 1."""
    padded = torch.cat([weights, weights.new_zeros(len(weights), COUNTED)], dim=1)
    return shares.mixed(padded) * (padded * shares.present).sum(1, keepdim=True)
