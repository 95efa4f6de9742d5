"""Purchase: the probability that this user buys this item now."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.context.base import Context
from seasonrec.batches.facts import Facts
from seasonrec.batches.labels.base import Labels
from seasonrec.errors import UserError
from seasonrec.models.components import ContextValues
from seasonrec.models.kernels.matmul import Linear
from seasonrec.models.scoring import ScoredItems
from seasonrec.models.task.base import Kind, TaskFeatures, TaskOutput
from seasonrec.models.task.candidates import log_partition, targets_of
from seasonrec.models.task.draws import hashed_uniform


class PurchaseHead(nn.Module):
    """A binary classifier of (request, item) pairs: basket items are positives, drawn items are negatives.

    The logit starts from the next-item model: its log probability of the item, season and habit included, minus the log
    probability that the item is drawn as a negative.

    Negatives are drawn again at every training step; in evaluation they are a hash of the basket. They are available at
    the request and not in the basket.

    Args:
        num_negatives: Negatives per item of the basket.
        popularity_power: Negatives are drawn with weight ``(events before the validation cut + 1) **
            popularity_power``; 0 draws uniformly, 1 by popularity, so that popularity alone predicts nothing.

    Raises:
        ValueError: If a number is out of its range.

    References:
        Kang and McAuley, Self-Attentive Sequential Recommendation, ICDM 2018, equation 11. Departure: a negative must
        be available at the request time.
    """

    kind: Kind = "binary"
    is_series = False
    first_seen_s: Tensor
    weight: Tensor
    log_drawn: Tensor
    available_s: Tensor
    log_available: Tensor

    def __init__(self, num_negatives: int = 4, popularity_power: float = 0.0, *, facts: Facts) -> None:
        super().__init__()
        if num_negatives < 1:
            raise UserError(f"task.purchase.num_negatives must be at least 1, got {num_negatives}; try 4.")
        if popularity_power < 0:
            raise UserError(f"task.purchase.popularity_power must be at least 0, got {popularity_power}; try 0.")
        self.reads: tuple[Context, ...] = ()
        self.labels: tuple[Labels, ...] = ()
        self.num_negatives = num_negatives
        weight = (facts.item_train_counts.double() + 1.0) ** popularity_power
        self.bias = nn.Parameter(torch.zeros(len(weight)))
        self.project = Linear(facts.embedding_dim, facts.embedding_dim, bias=False)
        nn.init.zeros_(self.project.weight)
        self.register_buffer("first_seen_s", facts.item_first_seen_s, persistent=False)
        self.register_buffer("weight", weight, persistent=False)
        available_s, order = facts.item_first_seen_s.sort(stable=True)
        self.register_buffer("available_s", available_s, persistent=False)
        self.register_buffer("log_available", (weight[order].cumsum(0) / weight.sum()).log().float(), persistent=False)
        self.register_buffer("log_drawn", torch.log(num_negatives * weight / weight.sum()).float(), persistent=False)

    def forward(self, features: TaskFeatures, batch: SequenceBatch, context: ContextValues) -> TaskOutput:
        items = features.items
        bought = batch.target_items if batch.sample is None else batch.sample.target_column
        drawn, is_valid = self._negatives(batch, items, bought)  # (M, S)
        asked = batch.target_request.repeat_interleave(self.num_negatives)
        request = torch.cat([batch.target_request, asked[is_valid]])
        column = torch.cat([bought, drawn.flatten()[is_valid]])
        truth = torch.cat([torch.ones_like(bought), torch.zeros_like(column[len(bought) :])]).float()
        start = self._start(features, batch, request, column)
        logits = start + self._correction(features, request, column)
        loss = F.binary_cross_entropy_with_logits(logits, truth, reduction="sum") / max(1, len(truth))
        return TaskOutput(loss, logits.detach(), truth, start=start.detach())

    def _start(self, features: TaskFeatures, batch: SequenceBatch, request: Tensor, column: Tensor) -> Tensor:
        """Returns ``(P,)`` float32 logits: the next item's log probability minus that of a draw."""
        scores = features.scores()
        total = log_partition(scores, targets_of(batch, scores.shape[1]), batch)
        total = F.embedding(request, total[:, None]).squeeze(1)  # total[request] has no deterministic gradient
        available = torch.searchsorted(self.available_s, batch.request_time_s, right=True)  # (N,), at least the target
        drawn = features.items.of(self.log_drawn)[column] - self.log_available[available - 1][request]
        return scores[request, column] - total - drawn

    def _correction(self, features: TaskFeatures, request: Tensor, column: Tensor) -> Tensor:
        """Returns ``(P,)`` float32, the learned correction of the start."""
        users = F.embedding(request, self.project(features.query))
        vectors = F.embedding(column, features.items.vectors)
        bias = F.embedding(column, features.items.of(self.bias)[:, None]).squeeze(1)
        return ((users * vectors).sum(1) + bias).float()

    def _negatives(self, batch: SequenceBatch, items: ScoredItems, bought: Tensor) -> tuple[Tensor, Tensor]:
        """Draws columns ``(M, S)``; also returns ``(M * S,)`` bool, False where a draw is in the basket.

        With a sampled catalogue, draws from the sample's negatives with weight 1 / inclusion probability.
        """
        weight = items.of(self.weight)
        if batch.sample is not None:
            there = torch.zeros_like(weight)
            there[batch.sample.negative_columns] = 1.0
            weight = weight * there * torch.exp(-batch.sample.log_expected)
        available_s, order = items.of(self.first_seen_s).sort(stable=True)
        cumulative = weight[order].cumsum(0)  # (C,)
        last = torch.searchsorted(available_s, batch.request_time_s[batch.target_request], right=True)[:, None] - 1
        place = torch.searchsorted(cumulative, self._uniform(batch, bought) * cumulative[last], right=True)
        drawn = order[torch.minimum(place, last)]  # (M, S), of weight 0 if a sample holds no available item
        width = len(items.vectors)
        own = torch.zeros(batch.num_requests, width, dtype=torch.bool, device=drawn.device)
        own[batch.target_request, bought] = True
        is_valid = ~own[batch.target_request[:, None], drawn] & (weight[drawn] > 0)
        return drawn, is_valid.flatten()

    def _uniform(self, batch: SequenceBatch, bought: Tensor) -> Tensor:
        """Returns ``(M, S)`` float64 in ``[0, 1)``, hashed from the basket in evaluation."""
        shape = (len(bought), self.num_negatives)
        if self.training:
            return torch.rand(shape, dtype=torch.float64, device=bought.device)
        basket = batch.basket_ids[batch.target_request]
        return hashed_uniform(basket * 0x9E37 + batch.target_items, self.num_negatives)
