"""User-match task: the users who will buy the same items as this user."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.context.own_history import OwnHistory, OwnHistoryContext
from seasonrec.batches.facts import Facts
from seasonrec.batches.labels.next_window import NextWindow, NextWindowLabels
from seasonrec.models.components import ContextValues
from seasonrec.models.kernels.matmul import Linear
from seasonrec.models.task.base import TaskFeatures, TaskHead, TaskOutput
from seasonrec.models.task.candidates import mean_of
from seasonrec.ranges import Days, HalfLives, Positive, ranged

ITEMS_AT_ONCE = 1 << 14
"""Maximum number of items per matrix product, which bounds memory."""


@ranged("task.user_match")
class UserMatchHead(TaskHead):
    """A ranking of other users for a user, by the cosine of their vectors.

    The candidates of a request are the requests of other users in its batch. The target is a distribution over them,
    proportional to the overlap (Jaccard index) of the items that the two users buy in the days after their requests. A
    request without any overlap is left out. The overlap of earlier purchases is added to the cosine, with a learned
    weight.

    Args:
        days: Days after the request that count; the end of the request's part of the log cuts them off.
        temperature: Temperature of the softmax over cosines.
        half_lives_days: Half-lives of the own history; the default is that of the habits, so that both read the same
            context.

    Raises:
        ValueError: If a number is out of its range.
    """

    kind = "ranking"
    compares_users = True

    def __init__(
        self,
        days: Days = 28.0,
        temperature: Positive = 0.1,
        half_lives_days: HalfLives = (7.0, 28.0, 90.0),
        *,
        facts: Facts,
    ) -> None:
        super().__init__()
        self.context = OwnHistoryContext(tuple(half_lives_days))
        self.reads = (self.context,)
        self.label = NextWindowLabels(days)
        self.labels = (self.label,)
        self.temperature = temperature
        self.project = Linear(facts.embedding_dim, facts.embedding_dim, bias=False)
        self.weight = nn.Parameter(torch.tensor(1.0))

    def forward(self, features: TaskFeatures, batch: SequenceBatch, context: ContextValues) -> TaskOutput:
        label: NextWindow = batch.labels[self.label.name]
        vectors = F.normalize(self.project(features.query).float(), dim=1)
        with torch.autocast(vectors.device.type, enabled=False):  # the temperature amplifies rounding errors
            cosine = vectors @ vectors.T
        own: OwnHistory = context[self.context.name]
        before = overlaps(own.request, own.item, batch.num_requests)
        scores = (cosine + self.weight * before) / self.temperature
        same = batch.user_ids[:, None] == batch.user_ids
        scores, start = (values.masked_fill(same, float("-inf")) for values in (scores, before))
        shared = overlaps(label.request, label.items, batch.num_requests).masked_fill(same, 0.0)
        asked = shared.any(1)
        scores, start, shared = scores[asked], start[asked], shared[asked]
        share = shared / shared.sum(1, keepdim=True)
        losses = torch.logsumexp(scores, dim=1) - (share * scores.masked_fill(share == 0, 0.0)).sum(1)
        return TaskOutput(mean_of(losses), scores.detach(), shared, start=start)


def overlaps(request: Tensor, items: Tensor, num_requests: int) -> Tensor:
    """Returns ``(N, N)``, the Jaccard index of the items of each two requests; 0 if neither has items.

    Args:
        request: ``(P,)`` int64.
        items: ``(P,)`` int64, an item of each ``request``.
        num_requests: ``N``.
    """
    known, column = torch.unique(items, return_inverse=True)  # only bought items
    both = torch.zeros(num_requests, num_requests, device=items.device)
    for first in range(0, len(known), ITEMS_AT_ONCE):
        now = (column >= first) & (column < first + ITEMS_AT_ONCE)
        bought = torch.zeros(num_requests, min(ITEMS_AT_ONCE, len(known) - first), device=items.device)
        bought[request[now], column[now] - first] = 1.0
        with torch.autocast(bought.device.type, enabled=False):
            both += bought @ bought.T
    size = both.diagonal()
    return both / (size[:, None] + size - both).clamp(min=1.0)
