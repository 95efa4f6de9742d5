"""Vectors of the items' features: standardised numbers and embedded categories."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seasonrec.batches.facts import Facts
from seasonrec.errors import UserError
from seasonrec.models.kernels.matmul import Linear

SKEWED = 1.0
"""Skewness above which numbers of at least 0, for example prices, are read on the scale ``log(1 + x)``."""

FARTHEST = 5.0
"""Limit of a standardised number; an item of a later year may be far outside of what training has seen."""

MISSING, UNSEEN = 0, 1
"""Numbers of a missing category, and of one that no item of the training part has."""


class FeatureVectors(nn.Module):
    """Sum of a projection of an item's numbers and a learned vector of each of its categories.

    A number ``x`` is read as ``(u - mean) / std`` with ``u = log(1 + x)`` if the values are at least 0 and skewed, else
    ``u = x``. A missing number is 0 and sets an indicator beside it; a missing category has a vector of its own, and so
    has one that no item of the training part has. Mean, standard deviation, skewness and the list of categories come
    from the items that were seen before the validation cut, each counted once.

    Shape:
        - item_ids: ``(P,)`` int64 or None; output: ``(P, D)``, or ``(V, D)`` without them.

    Raises:
        ValueError: If the items have no features.
    """

    numbers: Tensor
    codes: Tensor

    def __init__(self, *, facts: Facts) -> None:
        super().__init__()
        if not (facts.item_numbers or facts.item_labels):
            raise UserError(
                "item_encoder=features needs items with features, and this log has none; name columns of the items' "
                "file, data.features=[price], or choose item_encoder=id_text."
            )
        known = facts.item_is_known.numpy()
        columns = [standardised(values.numpy(), known) for values in facts.item_numbers.values()]
        numbers = np.concatenate(columns, axis=1) if columns else np.zeros((len(known), 0), np.float32)
        self.register_buffer("numbers", torch.from_numpy(numbers), persistent=False)  # (V, 2 F)
        coded = [codes_of(labels, known) for labels in facts.item_labels.values()]
        codes = np.stack([codes for codes, _ in coded], axis=1) if coded else np.zeros((len(known), 0), np.int64)
        self.register_buffer("codes", torch.from_numpy(codes), persistent=False)  # (V, G)
        self.of_numbers = Linear(numbers.shape[1], facts.embedding_dim, bias=False) if columns else None
        self.of_category = nn.ModuleList(nn.Embedding(count, facts.embedding_dim) for _, count in coded)
        for weight in self.parameters():
            nn.init.normal_(weight, std=0.02)

    def forward(self, item_ids: Tensor | None = None) -> Tensor:
        numbers, codes = (each if item_ids is None else each[item_ids] for each in (self.numbers, self.codes))
        parts = [vectors(codes[:, place]) for place, vectors in enumerate(self.of_category)]
        if self.of_numbers is not None:
            parts.append(self.of_numbers(numbers))
        return torch.stack(parts).sum(0)


def standardised(values: NDArray[np.floating], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Returns the standardised numbers of all items and their indicators, by the statistics of known items.

    Args:
        values: ``(V,)``, NaN where missing.
        known: ``(V,)`` bool, items of the training part.

    Returns:
        ``(V, 2)``: the standardised number, within :data:`FARTHEST`, and 1 where it is missing.
    """
    missing = np.isnan(values)
    scaled = values.astype(np.float64)
    fitted = scaled[known & ~missing]
    if len(fitted) and fitted.min() >= 0 and _skewness(fitted) > SKEWED:
        scaled, fitted = np.log1p(np.maximum(scaled, 0.0)), np.log1p(fitted)
    mean, std = (fitted.mean(), fitted.std()) if len(fitted) else (0.0, 0.0)
    scaled = (scaled - mean) / (std if std > 0 else 1.0)
    scaled = np.where(missing, 0.0, np.clip(scaled, -FARTHEST, FARTHEST))
    return np.stack([scaled, missing], axis=1).astype(np.float32)


def _skewness(values: NDArray[np.float64]) -> float:
    """Returns the third standardised moment; 0 for equal values."""
    std = values.std()
    return float(((values - values.mean()) ** 3).mean() / std**3) if std > 0 else 0.0


def codes_of(labels: tuple[str, ...], known: NDArray[np.bool_]) -> tuple[NDArray[np.int64], int]:
    """Returns the ``(V,)`` numbers of the categories and how many there are: missing, unseen, then those of training.

    Args:
        labels: ``V`` names of categories; empty where missing.
        known: ``(V,)`` bool, items of the training part.
    """
    names = sorted({label for label, seen in zip(labels, known, strict=True) if seen and label})
    numbers = {name: number for number, name in enumerate(names, start=UNSEEN + 1)} | {"": MISSING}
    return np.array([numbers.get(label, UNSEEN) for label in labels], dtype=np.int64), UNSEEN + 1 + len(names)
