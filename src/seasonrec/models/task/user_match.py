"""User match: who will buy what this user buys."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.context.base import Context
from seasonrec.batches.context.own_history import OwnHistory, OwnHistoryContext
from seasonrec.batches.facts import Facts
from seasonrec.batches.labels.base import Labels
from seasonrec.batches.labels.next_window import NextWindow, NextWindowLabels
from seasonrec.errors import UserError
from seasonrec.models.components import ContextValues
from seasonrec.models.kernels.matmul import Linear
from seasonrec.models.task.base import Kind, TaskFeatures, TaskOutput
from seasonrec.models.task.candidates import mean_of

ITEMS_AT_ONCE = 1 << 14
"""Items whose buyers are told apart at a time."""


class UserMatchHead(nn.Module):
    """Recommends users to a user: cosines of their vectors, ranked by what they will buy in their next windows.

    The candidates of a request are the requests of other users in its batch. The target is a distribution over them, in
    proportion to the overlap (Jaccard) of the items of the two windows, so that somebody who will buy half of the same
    things counts more than somebody who shares the milk. A request whose window meets no other is left out.

    The overlap of what the two bought before is added to the cosine, by a weight that is learnt.

    Args:
        days: Length of a window, from the request on; it ends with the request's part of the log at the latest.
        temperature: Of the softmax over cosines.
        half_lives_days: Those of the habit, where it has some: the two read the same history.

    Raises:
        ValueError: If a number is out of its range.
    """

    kind: Kind = "ranking"
    is_series = False
    compares_users = True

    def __init__(
        self,
        days: float = 28.0,
        temperature: float = 0.1,
        half_lives_days: tuple[float, ...] = (7.0, 28.0, 90.0),
        *,
        facts: Facts,
    ) -> None:
        super().__init__()
        for name, value in {"days": days, "temperature": temperature}.items():
            if not value > 0:
                raise UserError(f"task.user_match.{name} must be above 0, got {value}.")
        self.context = OwnHistoryContext(tuple(half_lives_days))
        self.reads: tuple[Context, ...] = (self.context,)
        self.told = NextWindowLabels(days)
        self.labels: tuple[Labels, ...] = (self.told,)
        self.temperature = temperature
        self.project = Linear(facts.embedding_dim, facts.embedding_dim, bias=False)
        self.weight = nn.Parameter(torch.tensor(1.0))

    def forward(self, features: TaskFeatures, batch: SequenceBatch, context: ContextValues) -> TaskOutput:
        told: NextWindow = batch.labels[self.told.name]
        vectors = F.normalize(self.project(features.query).float(), dim=1)
        with torch.autocast(vectors.device.type, enabled=False):  # the temperature makes errors ten times larger
            cosine = vectors @ vectors.T
        own: OwnHistory = context[self.context.name]
        before = overlaps(own.request, own.item, batch.num_requests)
        scores = (cosine + self.weight * before) / self.temperature
        same = batch.user_ids[:, None] == batch.user_ids
        scores, start = (values.masked_fill(same, float("-inf")) for values in (scores, before))
        shared = overlaps(told.request, told.items, batch.num_requests).masked_fill(same, 0.0)
        asked = shared.any(1)
        scores, start, shared = scores[asked], start[asked], shared[asked]
        share = shared / shared.sum(1, keepdim=True)
        losses = torch.logsumexp(scores, dim=1) - (share * scores.masked_fill(share == 0, 0.0)).sum(1)
        return TaskOutput(mean_of(losses), scores.detach(), shared, start=start)


def overlaps(request: Tensor, items: Tensor, num_requests: int) -> Tensor:
    """``(N, N)`` Jaccard index of what each two requests hold; 0 where both hold nothing.

    Args:
        request: ``(P,)`` int64.
        items: ``(P,)`` int64, one of the request's.
        num_requests: ``N``.
    """
    known, column = torch.unique(items, return_inverse=True)  # only what somebody buys
    both = torch.zeros(num_requests, num_requests, device=items.device)
    for first in range(0, len(known), ITEMS_AT_ONCE):
        now = (column >= first) & (column < first + ITEMS_AT_ONCE)
        bought = torch.zeros(num_requests, min(ITEMS_AT_ONCE, len(known) - first), device=items.device)
        bought[request[now], column[now] - first] = 1.0
        with torch.autocast(bought.device.type, enabled=False):
            both += bought @ bought.T
    size = both.diagonal()
    return both / (size[:, None] + size - both).clamp(min=1.0)
