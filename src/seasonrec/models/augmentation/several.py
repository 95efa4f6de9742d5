"""Combination of several augmentations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.data.log import EventLog
from seasonrec.errors import UserError
from seasonrec.models.augmentation.base import Factory, num_events, without_oldest
from seasonrec.ranges import Share, Weight, ranged


@ranged("augmentation")
class Several:
    """Random choice of one augmentation, or none, for each window.

    Each augmentation has its own configuration group: ``augmentation@augmentation.insert=none`` removes ``insert``.

    Args:
        crop: Augmentation of the first weight.
        mask: Augmentation of the second weight.
        reorder: Augmentation of the third weight.
        substitute: Augmentation of the fourth weight.
        insert: Augmentation of the fifth weight.
        chance: Probability that a window is augmented.
        weights: Relative frequencies of the augmentations.

    Raises:
        ValueError: If ``chance`` is outside [0, 1], a weight is negative, or all are zero.

    References:
        Xie et al., Contrastive Learning for Sequential Recommendation (CL4SRec), ICDE 2022, draw one of crop, mask and
        reorder for each sequence; Liu et al. (CoSeRec), 2021, add substitute and insert.
    """

    def __init__(
        self,
        crop: Factory,
        mask: Factory,
        reorder: Factory,
        substitute: Factory,
        insert: Factory,
        chance: Share = 0.5,
        weights: tuple[Weight, Weight, Weight, Weight, Weight] = (1.0, 1.0, 1.0, 1.0, 1.0),
        *,
        facts: Facts,
        log: EventLog | None,
    ) -> None:
        factories = (crop, mask, reorder, substitute, insert)
        self.chance = chance
        if len(weights) != len(factories) or not any(weights):
            raise UserError(
                "augmentation=several: weights must be 5 numbers at or above 0 (for crop, mask, reorder, substitute "
                f"and insert), not all 0, got {weights}; e.g. [1, 1, 1, 0, 0]."
            )
        self.choices = [factory(facts=facts, log=log) for factory in factories]
        self.shares = self.chance * np.asarray(weights) / sum(weights)
        self.num_items = facts.spec.num_items

    def __call__(self, batch: SequenceBatch, random: np.random.Generator) -> SequenceBatch:
        shares = np.append(1.0 - self.chance, self.shares)
        choice = random.choice(len(shares), len(batch.item_ids), p=shares / shares.sum())
        results = [batch, *(augment(batch, random) for augment in self.choices)]
        return _by_window(results, torch.from_numpy(choice).to(batch.item_ids.device), self.num_items)


def _by_window(results: Sequence[SequenceBatch], choice: Tensor, num_items: int) -> SequenceBatch:
    """Returns a batch with each window from the version in ``results`` that ``choice`` ``(B,)`` names."""
    width = max(result.item_ids.shape[1] for result in results)
    row = torch.arange(len(choice), device=choice.device)
    request = torch.arange(results[0].num_requests, device=choice.device)

    def picked(name: str, empty: int | bool) -> Tensor:
        wide = [F.pad(value, (0, width - value.shape[1]), value=empty) for value in (getattr(r, name) for r in results)]
        return torch.stack(wide)[choice, row]

    positions = torch.stack([result.request_position for result in results])
    mixed = replace(
        results[0],
        item_ids=picked("item_ids", num_items),
        timestamps_s=picked("timestamps_s", 0),
        is_padding=picked("is_padding", True),
        behaviours=results[0].told(lambda _: picked("behaviours", 0)),
        request_position=positions[choice[results[0].request_window], request],
    )
    return without_oldest(mixed, torch.zeros_like(num_events(mixed)), num_items)
