"""Demand task: the sales of each item or category in the week after the request."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.context.calendar import CalendarContext, RequestCalendar
from seasonrec.batches.context.weekly_sales import WeeklySales, WeeklySalesContext
from seasonrec.batches.facts import Facts
from seasonrec.batches.labels.demand import Demand, DemandLabels
from seasonrec.errors import UserError
from seasonrec.models.calendar_features import CalendarFeatures
from seasonrec.models.components import ContextValues
from seasonrec.models.kernels.dropout import Dropout
from seasonrec.models.kernels.matmul import Linear, zeroed
from seasonrec.models.scoring import ScoredItems
from seasonrec.models.task.base import TaskFeatures, TaskHead, TaskOutput
from seasonrec.models.task.candidates import mean_of
from seasonrec.ranges import AtLeast, BelowOne, WholeDays, Width, ranged

LEVEL_WEEKS = 4
"""Number of last weeks whose mean is the forecast at the start of training."""


@ranged("task.demand")
class DemandHead(TaskHead):
    """A forecast of weekly sales: the mean of the last weeks, corrected by a network.

    The network reads the series, the calendar and the item vectors. Demand does not depend on the user, so the requests
    of one day are one sample per series, and the query is not read. The item vectors are shared with the other tasks: a
    vector that encodes high sales in December helps the ranking, too. A category's vector is the mean of its items'
    vectors, weighted by their events before the validation cut; with a sampled catalogue, the mean of the sampled
    items. A series without an event before the request is left out.

    Args:
        of: The forecast series. With ``item``, memory grows with the catalogue: ``days_at_once`` times items times
            ``hidden_dim``.
        loss: ``mse``: squared error of ``log(1 + events)``. ``poisson``: half the Poisson deviance, which has the
            gradient of the negative log likelihood and the minimum 0.
        num_weeks: Weeks of each series that are read.
        hidden_dim: Width of the network.
        dropout: Dropout of the item term; a year has few weeks, so item vectors can memorise them.
        days_at_once: Largest number of days that a training batch forecasts; further days are dropped at random.

    Raises:
        ValueError: If categories are requested and the items have fewer than two, or an option is out of its range.
    """

    kind = "amount"
    is_series = True
    item_categories: Tensor
    item_weights: Tensor

    def __init__(
        self,
        of: Literal["item", "category"] = "category",
        loss: Literal["mse", "poisson"] = "mse",
        num_weeks: Annotated[int, AtLeast(1, 5_200)] = 8,
        hidden_dim: Width = 32,
        dropout: BelowOne = 0.5,
        days_at_once: WholeDays = 32,
        *,
        facts: Facts,
    ) -> None:
        super().__init__()
        _check(of, loss, facts)
        self.of, self.loss, self.days_at_once = of, loss, days_at_once
        self.calendar, self.sales = CalendarContext(), WeeklySalesContext(of, num_weeks)
        self.reads = (self.calendar, self.sales)
        self.label = DemandLabels(of)
        self.labels = (self.label,)
        self.day = CalendarFeatures(facts.spec)
        self.from_series = Linear(num_weeks + 1, hidden_dim)
        self.from_day = Linear(self.day.num_features, hidden_dim, bias=False)
        self.from_item = Linear(facts.embedding_dim, hidden_dim, bias=False)
        self.dropout = Dropout(dropout)
        self.out = zeroed(Linear(hidden_dim, 1))
        self.register_buffer("item_categories", facts.item_categories, persistent=False)
        self.register_buffer("item_weights", facts.item_train_counts + 1.0, persistent=False)

    def forward(self, features: TaskFeatures, batch: SequenceBatch, context: ContextValues) -> TaskOutput:
        label: Demand = batch.labels[self.label.name]
        rows = self._rows(label)
        request = label.first[rows]
        sales: WeeklySales = context[self.sales.name]
        at = sales.row[request]
        counts, sold = sales.counts[at], sales.sold[at]  # (Q, C, W), (Q, C)
        truth = label.counts[rows] if self.of == "category" else features.items.of(label.counts[rows].T).T
        calendar = {name: value[request] for name, value in vars(context[self.calendar.name]).items()}
        day = self.day.features(RequestCalendar(**calendar))
        change = self._change(counts, day, self._vectors(features.items)).float()
        level = _log_rate(counts, sales.weeks[at], self.loss)
        log_rate, level, truth = (level + change)[sold], level[sold], truth[sold]
        losses = squared_log_error(log_rate, truth) if self.loss == "mse" else poisson_deviance(log_rate, truth)
        less = 1.0 if self.loss == "mse" else 0.0
        rate, start = ((logs.detach().exp() - less).clamp(min=0.0) for logs in (log_rate, level))
        return TaskOutput(mean_of(losses), rate, truth, start=start)

    def _rows(self, label: Demand) -> Tensor:
        """Returns the rows of the days that are forecast."""
        rows = label.known.nonzero().squeeze(1)
        if self.training and len(rows) > self.days_at_once:
            rows = rows[torch.randperm(len(rows), device=rows.device)[: self.days_at_once]]
        return rows

    def _vectors(self, items: ScoredItems) -> Tensor:
        """Returns the vectors ``(C, D)`` of the items or of the categories."""
        if self.of == "item":
            return items.vectors
        category, weight = items.of(self.item_categories), items.of(self.item_weights)
        number = int(self.item_categories.max()) + 1
        sums = items.vectors.new_zeros(number, items.vectors.shape[1])
        weight = weight.to(items.vectors.dtype)
        sums = sums.index_add(0, category, items.vectors * weight[:, None])
        return sums / weight.new_zeros(number).index_add(0, category, weight).clamp(min=1.0)[:, None]

    def _change(self, counts: Tensor, day: Tensor, vectors: Tensor) -> Tensor:
        """Returns ``(Q, C)``, the correction of the log sales."""
        logs = torch.log1p(counts)
        level = logs.mean(2, keepdim=True)
        hidden = self.from_series(torch.cat([logs - level, level], dim=2)) + self.from_day(day)[:, None]
        return self.out(F.gelu(hidden + self.dropout(self.from_item(vectors)))).squeeze(2)


def squared_log_error(log_rate: Tensor, truth: Tensor) -> Tensor:
    """Returns the squared errors of ``log_rate``, a prediction of ``log(1 + truth)``."""
    return (log_rate - torch.log1p(truth)).square()


def poisson_deviance(log_rate: Tensor, truth: Tensor) -> Tensor:
    """Returns ``rate - truth log rate`` minus its minimum, which is at ``rate = truth``."""
    return log_rate.exp() - truth * log_rate - truth + torch.xlogy(truth, truth)


def _log_rate(counts: Tensor, weeks: Tensor, loss: str) -> Tensor:
    """Returns ``(Q, C)``, the log of the last weeks' mean; with ``mse``, the log of 1 + the mean."""
    number = weeks.clamp(1, LEVEL_WEEKS)[:, None]
    mean = counts[:, :, :LEVEL_WEEKS].sum(2) / number
    return torch.log1p(mean) if loss == "mse" else torch.log(mean + 0.1)  # 0.1 avoids log(0)


def _check(of: str, loss: str, facts: Facts) -> None:
    if of not in ("item", "category"):
        raise UserError(f"task.demand.of must be item or category, got {of!r}; try category.")
    if loss not in ("mse", "poisson"):
        raise UserError(f"task.demand.loss must be mse or poisson, got {loss!r}; try mse.")
    if of == "category" and facts.spec.num_categories < 2:
        raise UserError(
            f"task.demand.of=category needs items of at least 2 categories, got {facts.spec.num_categories}; name "
            "their column (data.category_column of a table), or set task.demand.of=item."
        )
