"""Tuning of the last layers only."""

from __future__ import annotations

from typing import Any

from torch import nn

from seasonrec.batches.facts import Facts
from seasonrec.errors import UserError
from seasonrec.models.peft.base import Target, Tuning
from seasonrec.models.peft.layers import depths, layer_stack
from seasonrec.ranges import Depth, ranged


@ranged("peft")
class LastLayers(Tuning):
    """Training of the last layers of a language model and of the final normalisation, if there is one.

    Args:
        num_layers: Number of trained layers.
        target: Components whose language model is tuned.

    Raises:
        ValueError: From ``apply``, if the language model has fewer layers.

    References:
        Lee, Tang and Lin, What Would Elsa Do? Freezing Layers During Transformer Fine-Tuning, 2019.
    """

    option = "last_layers"

    def __init__(self, num_layers: Depth = 1, target: Target = "all", *, facts: Facts) -> None:
        super().__init__(target, facts=facts)
        self.num_layers = num_layers

    def tune(self, language_model: Any) -> nn.Module:
        _, count = layer_stack(language_model)
        if not 1 <= self.num_layers <= count:
            raise UserError(
                f"peft.num_layers must lie in 1..{count}, the layers of {type(language_model).__name__}, got "
                f"{self.num_layers}; peft=none trains all, peft=frozen none."
            )
        depth = depths(language_model)
        for name, parameter in language_model.named_parameters():
            parameter.requires_grad_(depth[name] > count - self.num_layers)
        return language_model
