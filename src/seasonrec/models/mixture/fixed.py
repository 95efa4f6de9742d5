"""Mixture with the same weights for every request."""

from __future__ import annotations

import torch
from torch import Tensor

from seasonrec.models.components import ContextValues
from seasonrec.models.mixture.base import Mixture
from seasonrec.ranges import ranged

MODEL_START = 5.0
"""Log odds of the model against a counted part at the start of the fit."""


@ranged("mixture")
class FixedMixture(Mixture):
    """Mixture of the model's probabilities and counted ones with one weight each; see :class:`Mixture`."""

    model_names = ("model",)

    def start(self) -> Tensor:
        return torch.tensor([[MODEL_START], *([0.0] for _ in self.counted.names)])

    def features(self, scores: Tensor, context: ContextValues) -> Tensor:
        return scores.new_ones(len(scores), 1)

    def of_masses(self, masses: Tensor) -> Tensor:
        return masses[:, :0]

    def shares(self, masses: Tensor) -> Tensor:
        return masses.sum(1, keepdim=True)
