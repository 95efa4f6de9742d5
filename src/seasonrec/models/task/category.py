"""Category task: the categories of the next basket's items."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.context.own_history import OwnHistory, OwnHistoryContext
from seasonrec.batches.facts import Facts
from seasonrec.errors import UserError
from seasonrec.models.components import ContextValues
from seasonrec.models.kernels.matmul import Linear
from seasonrec.models.task.base import TaskFeatures, TaskHead, TaskOutput
from seasonrec.models.task.candidates import mean_of
from seasonrec.ranges import HalfLives, ranged


@ranged("task.category")
class CategoryHead(TaskHead):
    """A softmax over categories, trained on each category's share of the basket; every basket has the same weight.

    A category is a candidate if one of its items is. Items without a category are ignored, and so
    are baskets of such items alone. The bias starts at the log shares of the categories before the validation cut. The
    user's own counts of a category are added, with weights as in
    :class:`~seasonrec.models.habit.frequency.FrequencyHabit`.

    Args:
        half_lives_days: Half-lives ``H`` of the user's decayed counts; the default is that of the habits.

    Raises:
        ValueError: If the items have fewer than two categories.
    """

    kind = "ranking"
    item_categories: Tensor
    first_seen_s: Tensor
    shares: Tensor
    is_named: Tensor

    def __init__(self, half_lives_days: HalfLives = (7.0, 28.0, 90.0), *, facts: Facts) -> None:
        super().__init__()
        number = facts.spec.num_categories
        is_named = torch.ones(number, dtype=torch.bool)
        is_named[facts.item_categories[torch.tensor([not name for name in facts.item_category_names])]] = False
        if is_named.sum() < 2:
            raise UserError(
                f"task=category needs items of at least 2 categories, got {int(is_named.sum())}; name their column "
                "(data.category_column of a table), or leave category out of task."
            )
        self.context = OwnHistoryContext(tuple(half_lives_days))
        self.reads = (self.context,)
        categories = facts.item_categories
        counts = torch.ones(number).index_add(0, categories, facts.item_train_counts)
        first_seen_s = torch.full((number,), torch.iinfo(torch.int64).max)
        first_seen_s = first_seen_s.scatter_reduce(0, categories, facts.item_first_seen_s, "amin")
        first_seen_s[~is_named] = torch.iinfo(torch.int64).max
        self.register_buffer("item_categories", categories, persistent=False)
        self.register_buffer("first_seen_s", first_seen_s, persistent=False)
        self.register_buffer("is_named", is_named, persistent=False)
        self.out = Linear(facts.embedding_dim, number)
        self.weights = Linear(len(half_lives_days) + 2, 1, bias=False)
        nn.init.constant_(self.weights.weight, 0.5)
        self.register_buffer("shares", counts / counts.sum(), persistent=False)
        with torch.no_grad():
            self.out.bias.copy_(self.shares.log())

    def forward(self, features: TaskFeatures, batch: SequenceBatch, context: ContextValues) -> TaskOutput:
        own: OwnHistory = context[self.context.name]
        counts = self._counts(own)
        rate = counts[:, :, :1] / own.user_baskets.clamp(min=1)[:, None, None]
        habit = self.weights(torch.cat([torch.log1p(counts), rate], dim=2)).squeeze(2)
        scores = (self.out(features.query) + habit).float()
        start = counts[:, :, 0] + self.shares  # the user's own counts; ties are broken by overall sales
        scores, start = (self._candidates(values, batch) for values in (scores, start))
        shares = self._shares(batch, scores)
        asked = shares.any(1)
        scores, shares, start = scores[asked], shares[asked], start[asked]
        losses = torch.logsumexp(scores, dim=1) - (shares * scores.masked_fill(shares == 0, 0.0)).sum(1)
        return TaskOutput(mean_of(losses), scores.detach(), shares > 0, start=start)

    def _candidates(self, scores: Tensor, batch: SequenceBatch) -> Tensor:
        return scores.masked_fill(self.first_seen_s >= batch.candidates_until_s[:, None], float("-inf"))

    def _counts(self, own: OwnHistory) -> Tensor:
        """Returns ``(N, K, 1 + H)``: the user's counts and decayed counts of each category."""
        number, place = len(own.user_baskets), self.item_categories[own.item]
        pairs = torch.cat([own.count[:, None], own.decayed.to(own.count)], dim=1)  # (P, 1 + H)
        sums = pairs.new_zeros(number * len(self.shares), pairs.shape[1])
        return sums.index_add(0, own.request * len(self.shares) + place, pairs).view(number, len(self.shares), -1)

    def _shares(self, batch: SequenceBatch, like: Tensor) -> Tensor:
        """Returns ``(N, K)``: each category's share of the basket's items that have a category."""
        counts = torch.zeros_like(like)
        place = (batch.target_request, self.item_categories[batch.target_items])
        counts.index_put_(place, self.is_named[place[1]].to(counts), accumulate=True)
        return counts / counts.sum(1, keepdim=True).clamp(min=1.0)
