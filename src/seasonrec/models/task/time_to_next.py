"""Time-to-next task: the days until the user comes back."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.context.own_amounts import SHORTEST_DAYS, OwnGapsContext
from seasonrec.batches.facts import Facts
from seasonrec.batches.labels.time_to_next import TimeToNext, TimeToNextLabels
from seasonrec.errors import UserError
from seasonrec.models.components import ContextValues
from seasonrec.models.task.base import TaskFeatures, TaskHead, TaskOutput
from seasonrec.models.task.candidates import mean_of
from seasonrec.models.task.own_baseline import OwnBaseline, own_correction
from seasonrec.models.task.spend import QUANTILES
from seasonrec.ranges import Positive, Width, ranged


@ranged("task.time_to_next")
class TimeToNextHead(TaskHead):
    """The distribution of the time until the user's next basket, trained by maximum likelihood.

    A user who does not return before the part of the log ends is censored: the likelihood is then the probability of a
    longer time. Without these users the head would learn times that are too short. The head starts from the
    distribution of the days between the user's earlier visits, shrunk towards that of all users before the validation
    cut.

    Args:
        distribution: ``log_normal`` or ``weibull``.
        merge_same_day: If True, baskets of one local day count as one visit.
        hidden_dim: Width of the hidden layer.
        prior_visits: Weight of the overall distribution, as a number of visits.

    Raises:
        ValueError: If the distribution is unknown, or ``prior_visits`` is not above 0.

    References:
        Kalbfleisch and Prentice, The Statistical Analysis of Failure Time Data, 2002, section 3.2.
    """

    kind = "amount"

    def __init__(
        self,
        distribution: Literal["log_normal", "weibull"] = "log_normal",
        merge_same_day: bool = True,
        hidden_dim: Width = 64,
        prior_visits: Positive = 2.0,
        *,
        facts: Facts,
    ) -> None:
        super().__init__()
        if distribution not in ("log_normal", "weibull"):
            raise UserError(
                f"task.time_to_next.distribution must be log_normal or weibull, got {distribution!r}; try log_normal."
            )
        self.own = OwnBaseline(OwnGapsContext(merge_same_day), prior_visits)
        self.reads = (self.own.context,)
        self.label = TimeToNextLabels(merge_same_day)
        self.labels = (self.label,)
        self.distribution = distribution
        self.net = own_correction(facts.embedding_dim, hidden_dim, 2)

    def forward(self, features: TaskFeatures, batch: SequenceBatch, context: ContextValues) -> TaskOutput:
        label: TimeToNext = batch.labels[self.label.name]
        mean, spread, own = self.own(context, label.usual)
        if self.distribution == "weibull":  # location and scale of a Gumbel minimum with this mean and spread
            spread = spread * (math.sqrt(6.0) / math.pi)
            mean = mean + np.euler_gamma * spread
        raw = self.net(torch.cat([features.query, own], dim=1)).float()
        location = mean + spread * raw[:, 0]
        scale = spread * torch.exp(3.0 * torch.tanh(raw[:, 1] / 3.0))  # at most a factor of 20
        days = label.days.clamp(min=SHORTEST_DAYS)
        prediction = self._quantiles(location.detach(), scale.detach())
        losses = (_log_normal if self.distribution == "log_normal" else _weibull)(days, label.censored, location, scale)
        return TaskOutput(mean_of(losses), prediction, label.days, label.censored, start=self._quantiles(mean, spread))

    def _quantiles(self, location: Tensor, scale: Tensor) -> Tensor:
        """Returns the quantiles ``(N, 3)`` of the time."""
        if self.distribution == "log_normal":
            place = torch.special.ndtri(location.new_tensor(QUANTILES, dtype=torch.float64)).float()
        else:
            place = torch.log(-torch.log1p(-location.new_tensor(QUANTILES)))
        return (location[:, None] + scale[:, None] * place).exp()


def _log_normal(days: Tensor, censored: Tensor, location: Tensor, scale: Tensor) -> Tensor:
    """Returns ``(N,)``, minus the log density of an observed time or the log survival probability of a censored one."""
    logs = days.log()
    place = (logs - location) / scale
    density = 0.5 * place.square() + scale.log() + logs + 0.5 * math.log(2.0 * math.pi)
    return torch.where(censored, -torch.special.log_ndtr(-place), density)


def _weibull(days: Tensor, censored: Tensor, location: Tensor, scale: Tensor) -> Tensor:
    """Returns the same for a Weibull time: its log is ``location`` plus ``scale`` times a Gumbel minimum."""
    logs = days.log()
    place = (logs - location) / scale
    hazard = place.clamp(max=30.0).exp() * (1.0 + F.relu(place - 30.0))  # linear above 30: no overflow
    return torch.where(censored, hazard, hazard - place + scale.log() + logs)
