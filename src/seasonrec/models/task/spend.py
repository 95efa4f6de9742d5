"""Spend task: the value of the basket."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.context.own_amounts import OwnValuesContext
from seasonrec.batches.facts import Facts
from seasonrec.batches.labels.spend import Spend, SpendLabels
from seasonrec.errors import UserError
from seasonrec.models.components import ContextValues
from seasonrec.models.task.base import TaskFeatures, TaskHead, TaskOutput
from seasonrec.models.task.candidates import mean_of
from seasonrec.models.task.own_baseline import OwnBaseline, own_correction
from seasonrec.ranges import Positive, Width, ranged

QUANTILES = (0.1, 0.5, 0.9)
NORMAL_SPREAD = 1.2816
"""Standard deviations from the median to the 0.9 quantile of a normal distribution."""


@ranged("task.spend")
class SpendHead(TaskHead):
    """Quantiles 0.1, 0.5 and 0.9 of ``log(1 + value)``, trained by the pinball loss.

    Values have a heavy tail: a few large baskets dominate the mean but not the quantiles, and a quantile of the
    logarithm is the logarithm of the quantile. The head starts from a log-normal with mean and spread of the user's
    earlier baskets, shrunk towards those of all baskets before the validation cut. The quantiles never cross.

    Args:
        hidden_dim: Width of the hidden layer.
        prior_baskets: Weight of the overall distribution, as a number of baskets.

    Raises:
        ValueError: If the events have no value, or ``prior_baskets`` is not above 0.

    References:
        Koenker and Bassett, Regression Quantiles, Econometrica 1978.
    """

    kind = "amount"

    def __init__(self, hidden_dim: Width = 64, prior_baskets: Positive = 2.0, *, facts: Facts) -> None:
        super().__init__()
        if not facts.spec.has_value:
            raise UserError(
                "task=spend needs events with a value, and the data has none; name their column (data.value_column "
                "of a table), or leave spend out of task."
            )
        self.own = OwnBaseline(OwnValuesContext(), prior_baskets)
        self.reads = (self.own.context,)
        self.label = SpendLabels()
        self.labels = (self.label,)
        self.net = own_correction(facts.embedding_dim, hidden_dim, 3)

    def forward(self, features: TaskFeatures, batch: SequenceBatch, context: ContextValues) -> TaskOutput:
        label: Spend = batch.labels[self.label.name]
        truth = label.value[label.known]
        mean, spread, own = self.own(context, label.usual)
        raw = self.net(torch.cat([features.query, own], dim=1)[label.known]).float()
        normal = mean[label.known], spread[label.known]
        forecast, start = quantiles(raw, *normal), quantiles(torch.zeros_like(raw), *normal)  # (P, 3)
        losses = pinball(forecast, torch.log1p(truth))
        prediction, start = (values.detach().expm1().clamp(min=0.0) for values in (forecast, start))
        return TaskOutput(mean_of(losses), prediction, truth, start=start)


def quantiles(raw: Tensor, mean: Tensor, spread: Tensor) -> Tensor:
    """Computes increasing quantiles ``(P, 3)`` from three free numbers; zeros give those of the normal distribution.

    Args:
        raw: ``(P, 3)`` free numbers.
        mean: ``(P,)``.
        spread: ``(P,)`` standard deviations.
    """
    middle = raw[:, 1]
    start = torch.log(torch.expm1(raw.new_tensor(NORMAL_SPREAD)))
    down, up = F.softplus(raw[:, 0] + start), F.softplus(raw[:, 2] + start)
    return mean[:, None] + spread[:, None] * torch.stack([middle - down, middle, middle + up], dim=1)


def pinball(forecast: Tensor, truth: Tensor) -> Tensor:
    """Returns ``(P,)``, the mean pinball loss of quantiles ``(P, 3)`` for amounts ``(P,)``."""
    level = forecast.new_tensor(QUANTILES)
    above = truth[:, None] - forecast
    return torch.maximum(level * above, (level - 1.0) * above).mean(1)
