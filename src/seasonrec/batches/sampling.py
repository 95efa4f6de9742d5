"""Sampled items on which a batch is scored, for catalogues that are too large."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class ItemSample:
    """Targets and drawn negatives of one batch; ``C`` items, ``M`` targets, ``S`` distinct negatives.

    Args:
        item_ids: ``(C,)`` int64, distinct and rising.
        target_column: ``(M,)`` int64, place of each target in ``item_ids``.
        negative_columns: ``(S,)`` int64, rising places of the drawn negatives in ``item_ids``.
        log_expected: ``(C,)`` float32, logarithm of the probability that the item is among the drawn negatives.
    """

    item_ids: Tensor
    target_column: Tensor
    negative_columns: Tensor
    log_expected: Tensor

    def targets(self, start: int, stop: int) -> ItemSample:
        """Returns the same items with the targets ``start:stop`` alone."""
        return replace(self, target_column=self.target_column[start:stop])


@dataclass(frozen=True)
class NegativeSampler:
    """Sampler of negatives that all requests of a batch share, so that scoring is one matrix product.

    Args:
        cumulative: ``(V,)`` float64, rising to 1: cumulative probability of the items.
        num_negatives: Draws per batch, with replacement; an item drawn twice counts once.
    """

    cumulative: NDArray[np.float64]
    num_negatives: int

    @staticmethod
    def of(counts: NDArray[np.floating], num_negatives: int, popularity_power: float) -> NegativeSampler:
        """Returns a sampler that draws items in proportion to ``(count + 1) ** popularity_power``.

        Args:
            counts: ``(V,)`` events of each item before the validation cut.
            num_negatives: Draws per batch.
            popularity_power: Exponent; 0 gives all items the same probability.
        """
        weight = (np.asarray(counts, dtype=np.float64) + 1.0) ** popularity_power
        cumulative = np.cumsum(weight)
        return NegativeSampler(cumulative / cumulative[-1], num_negatives)

    def draw(self, targets: NDArray[np.int64], random: np.random.Generator) -> ItemSample:
        """Draws the items on which a batch with ``(M,)`` targets is scored."""
        drawn = np.searchsorted(self.cumulative, random.random(self.num_negatives), side="right")
        negatives = np.unique(np.minimum(drawn, len(self.cumulative) - 1))
        item_ids = np.union1d(targets, negatives)
        return ItemSample(
            item_ids=torch.from_numpy(item_ids.astype(np.int64)),
            target_column=torch.from_numpy(np.searchsorted(item_ids, targets)),
            negative_columns=torch.from_numpy(np.searchsorted(item_ids, negatives)),
            log_expected=torch.from_numpy(self.log_expected(item_ids).astype(np.float32)),
        )

    def log_expected(self, item_ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """Returns the logarithm of each item's probability of being drawn, ``1 - (1 - q) ** draws``, ``(P,)``.

        It is exact for tiny ``q``.

        Args:
            item_ids: ``(P,)`` item numbers.
        """
        before = np.where(item_ids > 0, self.cumulative[item_ids - 1], 0.0)
        probability = np.maximum(self.cumulative[item_ids] - before, np.finfo(np.float64).tiny)
        missed = self.num_negatives * np.log1p(-np.minimum(probability, 1.0 - 1e-12))
        return np.log(-np.expm1(missed))
