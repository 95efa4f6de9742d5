"""Contrastive task: close vectors for two augmented views of a training window, distant ones for different users."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from seasonrec.batches.batch import BY_REQUEST, SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.models.augmentation.crop import Crop
from seasonrec.models.augmentation.mask import Mask
from seasonrec.models.augmentation.none import NoAugmentation
from seasonrec.models.augmentation.reorder import Reorder
from seasonrec.models.augmentation.several import Several
from seasonrec.models.components import ContextValues
from seasonrec.models.task.base import TaskFeatures, TaskHead, TaskOutput
from seasonrec.ranges import CountOrZero, Positive, Share, ranged


@ranged("task.contrastive")
class ContrastiveHead(TaskHead):
    """InfoNCE between two views of each training window, encoded at its last request; it has no weights of its own.

    Each view is cropped, masked or reordered, with equal probability. In training the draws come from torch's
    generator, so that a resumed run repeats them; in evaluation they are always the same.

    For the ranking metrics, each first view is a query and the second views of the batch are its candidates, so the
    metrics depend on the batch size.

    Its default weight is 0.1, the paper's ``lambda``: at 1 it cost the next item 0.013 bits on the validation weeks of
    Complete Journey in one seed, at 0.1 nothing.

    Args:
        crop: Largest share of the shortest history to drop, see :class:`~seasonrec.models.augmentation.crop.Crop`.
        mask: Probability that an event is masked.
        reorder: Probability that a group of events is shuffled.
        window_s: Longest time span of such a group in seconds; 0 shuffles within baskets.
        temperature: Temperature of the softmax over cosines.

    Raises:
        ValueError: If a number is out of its range.

    References:
        Xie et al., Contrastive Learning for Sequential Recommendation (CL4SRec), ICDE 2022: one operator is drawn
        for each view, and the ``2 (B - 1)`` views of other windows are negatives. Departures: cosine and temperature
        replace the inner product (Chen et al., SimCLR, ICML 2020); other windows of the same user are no negatives.
    """

    kind = "ranking"
    compares_users = True
    default_weight = 0.1

    def __init__(
        self,
        crop: Share = 0.5,
        mask: Share = 0.3,
        reorder: Share = 1.0,
        window_s: CountOrZero = 0,
        temperature: Positive = 0.2,
        *,
        facts: Facts,
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.view = Several(
            partial(Crop, crop),
            partial(Mask, mask),
            partial(Reorder, reorder, window_s),
            NoAugmentation,
            NoAugmentation,
            chance=1.0,
            weights=(1.0, 1.0, 1.0, 0.0, 0.0),
            facts=facts,
            log=None,
        )

    def forward(self, features: TaskFeatures, batch: SequenceBatch, context: ContextValues) -> TaskOutput:
        asked = last_requests(batch)
        count = asked.num_requests
        if not count:
            empty = features.query.new_zeros(0, 0)
            return TaskOutput(features.query.sum() * 0.0, empty, empty.bool())
        random = np.random.default_rng(int(torch.randint(2**62, ())) if self.training else 0)
        views = [features.read(self.view(asked, random)) for _ in range(2)]
        scores = view_scores(torch.cat(views), asked.user_ids, self.temperature)
        own = torch.arange(count, device=scores.device)
        loss = F.cross_entropy(scores, torch.cat([own + count, own]))
        return TaskOutput(loss, scores[:count, count:].detach(), own[:, None] == own)


def view_scores(vectors: Tensor, user_ids: Tensor, temperature: float) -> Tensor:
    """Returns the cosines of ``2 n`` views divided by the temperature.

    Args:
        vectors: ``(2 n, D)``, all first views before all second views.
        user_ids: ``(n,)`` int64, the user of each window.
        temperature: Above 0.

    Returns:
        ``(2 n, 2 n)`` float32; ``-inf`` between views of one user, except the two views of one window.
    """
    count = len(user_ids)
    unit = F.normalize(vectors.float(), dim=1)
    with torch.autocast(unit.device.type, enabled=False):
        scores = unit @ unit.T / temperature
    users = user_ids.repeat(2)
    number = torch.arange(2 * count, device=users.device)
    is_pair = number[:, None] == (number + count) % (2 * count)
    return scores.masked_fill((users[:, None] == users) & ~is_pair, float("-inf"))


def last_requests(batch: SequenceBatch) -> SequenceBatch:
    """Keeps the last request of each training window, and drops windows whose last request has no history."""
    order = torch.argsort(batch.request_window * (batch.item_ids.shape[1] + 1) + batch.request_position, stable=True)
    window = batch.request_window[order]
    is_last = torch.ones_like(window, dtype=torch.bool)
    is_last[:-1] = window[1:] != window[:-1]
    request = order[is_last & (batch.request_position[order] > 0)]
    window = batch.request_window[request]
    by_request = [name for name in BY_REQUEST if name != "request_window"]
    return replace(
        batch,
        **{name: getattr(batch, name)[window] for name in ("item_ids", "timestamps_s", "is_padding")},
        **{name: getattr(batch, name)[request] for name in by_request},
        request_window=torch.arange(len(request), device=request.device),
        target_request=batch.target_request[:0],
        target_items=batch.target_items[:0],
        context={},
        sample=None if batch.sample is None else batch.sample.targets(0, 0),
        labels={},
    )
