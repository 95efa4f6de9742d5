"""Tuning of the normalisations only."""

from __future__ import annotations

from typing import Any

from torch import nn

from seasonrec.errors import UserError
from seasonrec.models.peft.base import Tuning
from seasonrec.models.peft.layers import norm_names


class NormTuning(Tuning):
    """Training of the gains and biases of the normalisations, about a thousandth of a language model's weights.

    Args:
        target: Components whose language model is tuned.

    Raises:
        ValueError: From ``apply``, if the language model has no normalisation.

    References:
        Zhao et al., Tuning LayerNorm in Attention, ICLR 2024.
    """

    option = "norms"

    def tune(self, language_model: Any) -> nn.Module:
        names = norm_names(language_model)
        if not names:
            raise UserError(
                f"peft=norms needs a normalisation in {type(language_model).__name__}, found none; choose "
                "peft=last_layers or peft=lora."
            )
        language_model.requires_grad_(False)
        for name in names:
            language_model.get_submodule(name).requires_grad_(True)
        return language_model
