"""Small heads without labels: two recommendation tasks and a series, with targets from the request time."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.models.task.base import Kind, TaskFeatures, TaskOutput

SECONDS_PER_DAY = 86_400


class ClockHead(nn.Module):
    """Head that predicts from the query the half of a period, or the position in it, of the request time.

    Args:
        period_days: The period.
        kind: ``binary`` or ``amount``.
        is_series: Whether ``lambda_t`` weighs it.
    """

    reads: tuple[Any, ...] = ()
    labels: tuple[Any, ...] = ()

    def __init__(self, period_days: int, kind: Kind, is_series: bool = False, *, facts: Facts) -> None:
        super().__init__()
        self.period_s = period_days * SECONDS_PER_DAY
        self.kind = kind
        self.is_series = is_series
        self.linear = nn.Linear(facts.embedding_dim, 1)

    def forward(self, features: TaskFeatures, batch: SequenceBatch, context: Mapping[str, Any]) -> TaskOutput:
        said = self.linear(features.query).squeeze(-1).float()
        share = (batch.request_time_s % self.period_s).float() / self.period_s
        if self.kind == "binary":
            truth = (share >= 0.5).float()
            return TaskOutput(F.binary_cross_entropy_with_logits(said, truth), said.detach(), truth)
        return TaskOutput(F.mse_loss(said, 3 * share), said.detach(), 3 * share)


def _head(*options: Any) -> partial[ClockHead]:
    return partial(ClockHead, *options)


SMALL_TASKS = {"purchase": _head(14, "binary"), "demand": _head(365, "amount", True)}
