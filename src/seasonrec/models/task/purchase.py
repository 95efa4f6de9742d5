"""Purchase task: the probability that this user buys this item now."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.models.components import ContextValues
from seasonrec.models.kernels.matmul import Linear, zeroed
from seasonrec.models.scoring import ScoredItems
from seasonrec.models.task.base import TaskFeatures, TaskHead, TaskOutput
from seasonrec.models.task.candidates import log_partition, targets_of
from seasonrec.models.task.draws import target_uniform
from seasonrec.ranges import Batch, Weight, ranged


@ranged("task.purchase")
class PurchaseHead(TaskHead):
    """A binary classifier of (request, item) pairs: basket items are positives, drawn items are negatives.

    The logit is a learned correction of the next-item model: its log probability of the item, with season and habit,
    minus the log probability that the item is drawn as a negative. A negative is a candidate of the request that is
    not in the basket. Negatives are drawn again at every training step; in evaluation, a hash of the basket decides
    them.

    Args:
        num_negatives: Negatives per item of the basket.
        popularity_power: Negatives are drawn with weight ``(events before the validation cut + 1) **
            popularity_power``; 0 draws uniformly; 1 draws by popularity, so that popularity alone predicts nothing.

    Raises:
        ValueError: If a number is out of its range.

    References:
        Kang and McAuley, Self-Attentive Sequential Recommendation, ICDM 2018, equation 11. Departure: a negative must
        be a candidate.
    """

    kind = "binary"
    first_seen_s: Tensor
    weight: Tensor
    log_drawn: Tensor
    available_s: Tensor
    log_available: Tensor

    def __init__(self, num_negatives: Batch = 4, popularity_power: Weight = 0.0, *, facts: Facts) -> None:
        super().__init__()
        self.num_negatives = num_negatives
        weight = (facts.item_train_counts.double() + 1.0) ** popularity_power
        self.bias = nn.Parameter(torch.zeros(len(weight)))
        self.project = zeroed(Linear(facts.embedding_dim, facts.embedding_dim, bias=False))
        self.register_buffer("first_seen_s", facts.item_first_seen_s, persistent=False)
        self.register_buffer("weight", weight, persistent=False)
        available_s, order = facts.item_first_seen_s.sort(stable=True)
        self.register_buffer("available_s", available_s, persistent=False)
        self.register_buffer("log_available", (weight[order].cumsum(0) / weight.sum()).log().float(), persistent=False)
        self.register_buffer("log_drawn", torch.log(num_negatives * weight / weight.sum()).float(), persistent=False)

    def forward(self, features: TaskFeatures, batch: SequenceBatch, context: ContextValues) -> TaskOutput:
        items = features.items
        bought = batch.target_items if batch.sample is None else batch.sample.target_column
        drawn, is_valid = self._negatives(batch, items)  # (M, S), (M * S,)
        asked = batch.target_request.repeat_interleave(self.num_negatives)
        request = torch.cat([batch.target_request, asked[is_valid]])
        column = torch.cat([bought, drawn.flatten()[is_valid]])
        truth = torch.cat([torch.ones_like(bought), torch.zeros_like(column[len(bought) :])]).float()
        start = self._start(features, batch, request, column)
        logits = start + self._correction(features, request, column)
        loss = F.binary_cross_entropy_with_logits(logits, truth, reduction="sum") / max(1, len(truth))
        return TaskOutput(loss, logits.detach(), truth, start=start.detach())

    def _start(self, features: TaskFeatures, batch: SequenceBatch, request: Tensor, column: Tensor) -> Tensor:
        """Returns ``(P,)`` float32: the log probability of the next item minus that of a draw as a negative."""
        scores = features.scores()
        total = log_partition(scores, targets_of(batch, scores.shape[1]), batch)
        total = F.embedding(request, total[:, None]).squeeze(1)  # the gradient of total[request] is not deterministic
        available = torch.searchsorted(self.available_s, batch.candidates_until_s)  # (N,), at least the target
        drawn = features.items.of(self.log_drawn)[column] - self.log_available[available - 1][request]
        return scores[request, column] - total - drawn

    def _correction(self, features: TaskFeatures, request: Tensor, column: Tensor) -> Tensor:
        """Returns ``(P,)`` float32, the learned correction."""
        users = F.embedding(request, self.project(features.query))
        vectors = F.embedding(column, features.items.vectors)
        bias = F.embedding(column, features.items.of(self.bias)[:, None]).squeeze(1)
        return ((users * vectors).sum(1) + bias).float()

    def _negatives(self, batch: SequenceBatch, items: ScoredItems) -> tuple[Tensor, Tensor]:
        """Draws columns ``(M, S)``; also returns ``(M * S,)`` bool, False for a draw that is no valid negative.

        With a sampled catalogue, draws from the sample's negatives, with weight 1 / inclusion probability as well.
        """
        weight = items.of(self.weight)
        if batch.sample is not None:
            is_negative = torch.zeros_like(weight)
            is_negative[batch.sample.negative_columns] = 1.0
            weight = weight * is_negative * torch.exp(-batch.sample.log_expected)
        available_s, order = items.of(self.first_seen_s).sort(stable=True)
        cumulative = weight[order].cumsum(0)  # (C,)
        last = torch.searchsorted(available_s, batch.candidates_until_s[batch.target_request])[:, None] - 1
        uniform = target_uniform(batch, self.num_negatives, self.training)
        place = torch.searchsorted(cumulative, uniform * cumulative[last], right=True)
        drawn = order[torch.minimum(place, last)]  # (M, S), of weight 0 if a sample has no available item
        in_basket = targets_of(batch, len(items.vectors))[batch.target_request[:, None], drawn]
        return drawn, (~in_basket & (weight[drawn] > 0)).flatten()
