"""Frozen language models."""

from __future__ import annotations

from typing import Any

from torch import nn

from seasonrec.models.peft.base import Tuning


class Frozen(Tuning):
    """Freezing of every language model; the projections around it and all other weights are trained.

    Args:
        target: Component that must have a language model; those of other components are frozen as well.
    """

    option = "frozen"

    def tune(self, language_model: Any) -> nn.Module:
        return language_model.requires_grad_(False)
