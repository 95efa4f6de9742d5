"""Category: of which categories the next basket's items are."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seasonrec.data.batch import SequenceBatch
from seasonrec.data.context.base import Context
from seasonrec.data.facts import Facts
from seasonrec.data.labels.base import Labels
from seasonrec.models.parts import ContextValues
from seasonrec.models.tasks.base import Kind, TaskFeatures, TaskOutput
from seasonrec.models.tasks.candidates import mean_of


class CategoryHead(nn.Module):
    """A softmax over the categories against the categories' shares in the basket; every basket weighs alike.

    A category is a candidate from its first item's first event on. The bias begins at the categories' shares before the
    validation cut.

    Raises:
        ValueError: If the items have no categories.
    """

    kind: Kind = "ranking"
    is_series = False
    item_categories: Tensor
    first_seen_s: Tensor

    def __init__(self, *, facts: Facts) -> None:
        super().__init__()
        number = facts.spec.num_categories
        if number < 2:
            raise ValueError(
                f"task=category needs items of at least 2 categories, got {number}; name their column "
                "(data.category_column of a table), or leave category out of task."
            )
        self.reads: tuple[Context, ...] = ()
        self.labels: tuple[Labels, ...] = ()
        categories = facts.item_categories
        counts = torch.ones(number).index_add(0, categories, facts.item_train_counts)
        births = torch.full((number,), torch.iinfo(torch.int64).max)
        births = births.scatter_reduce(0, categories, facts.item_first_seen_s, "amin")
        self.register_buffer("item_categories", categories, persistent=False)
        self.register_buffer("first_seen_s", births, persistent=False)
        self.out = nn.Linear(facts.embedding_dim, number)
        with torch.no_grad():
            self.out.bias.copy_(torch.log(counts / counts.sum()))

    def forward(self, features: TaskFeatures, batch: SequenceBatch, context: ContextValues) -> TaskOutput:
        scores = self.out(features.query).float()
        scores = scores.masked_fill(self.first_seen_s > batch.request_time_s[:, None], float("-inf"))
        shares = self._shares(batch, scores)
        asked = shares.any(1)
        scores, shares = scores[asked], shares[asked]
        own = scores.masked_fill(shares == 0, 0.0)
        losses = torch.logsumexp(scores, dim=1) - (shares * own).sum(1)
        return TaskOutput(mean_of(losses), scores.detach(), shares > 0)

    def _shares(self, batch: SequenceBatch, like: Tensor) -> Tensor:
        """``(N, K)``: the share of each category in each request's basket."""
        counts = torch.zeros_like(like)
        place = (batch.target_request, self.item_categories[batch.target_items])
        counts.index_put_(place, counts.new_ones(len(batch.target_items)), accumulate=True)
        return counts / counts.sum(1, keepdim=True).clamp(min=1.0)
