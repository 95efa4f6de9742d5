"""Spend: what the basket will be worth."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.data.batch import SequenceBatch
from seasonrec.data.context.base import Context
from seasonrec.data.facts import Facts
from seasonrec.data.labels.base import Labels
from seasonrec.data.labels.spend import Spend, SpendLabels
from seasonrec.models.parts import ContextValues
from seasonrec.models.tasks.base import Kind, TaskFeatures, TaskOutput
from seasonrec.models.tasks.candidates import mean_of

QUANTILES = (0.1, 0.5, 0.9)
NORMAL_SPREAD = 1.2816
"""Standard deviations from the median to the 0.9 quantile of a normal distribution."""


class SpendHead(nn.Module):
    """Quantiles 0.1, 0.5 and 0.9 of ``log(1 + value)``, by the pinball loss.

    Values have a heavy tail: their mean follows a few large baskets, their quantiles do not, and a quantile of the
    logarithm is the logarithm of the quantile. The three begin at those of a log-normal with the mean and spread of
    the baskets before the validation cut, and never cross.

    Args:
        hidden_dim: Width of the hidden layer.

    Raises:
        ValueError: If the events carry no value.

    References:
        Koenker and Bassett, Regression Quantiles, Econometrica 1978.
    """

    kind: Kind = "amount"
    is_series = False

    def __init__(self, hidden_dim: int = 64, *, facts: Facts) -> None:
        super().__init__()
        if not facts.spec.has_value:
            raise ValueError(
                "task=spend needs events with a value, and the data has none; name their column (data.value_column "
                "of a table), or leave spend out of task."
            )
        self.reads: tuple[Context, ...] = ()
        self.told = SpendLabels()
        self.labels: tuple[Labels, ...] = (self.told,)
        self.net = nn.Sequential(nn.Linear(facts.embedding_dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, 3))

    def forward(self, features: TaskFeatures, batch: SequenceBatch, context: ContextValues) -> TaskOutput:
        told: Spend = batch.labels[self.told.name]
        truth = told.value[told.known]
        forecast = quantiles(self.net(features.query[told.known]).float(), told.usual)  # (P, 3)
        losses = pinball(forecast, torch.log1p(truth))
        return TaskOutput(mean_of(losses), forecast.detach().expm1().clamp(min=0.0), truth)


def quantiles(raw: Tensor, usual: Tensor) -> Tensor:
    """Turns free numbers into three rising ones that are those of a normal distribution where all are 0.

    Args:
        raw: ``(P, 3)``.
        usual: ``(2,)`` mean and standard deviation.
    """
    middle = raw[:, 1]
    start = torch.log(torch.expm1(raw.new_tensor(NORMAL_SPREAD)))
    down, up = F.softplus(raw[:, 0] + start), F.softplus(raw[:, 2] + start)
    return usual[0] + usual[1] * torch.stack([middle - down, middle, middle + up], dim=1)


def pinball(forecast: Tensor, truth: Tensor) -> Tensor:
    """``(P,)``: the mean pinball loss of the quantiles ``(P, 3)`` of amounts ``(P,)``."""
    level = forecast.new_tensor(QUANTILES)
    above = truth[:, None] - forecast
    return torch.maximum(level * above, (level - 1.0) * above).mean(1)
