"""Optimisers and schedules."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from seasonrec.models.language.lookup import loaded_names
from seasonrec.ranges import BelowOne, Positive, Rate, Weight, ranged

IA3_SCALES = ".ia3_l."
"""Part of the names of vectors that peft stores as matrices of one row or column."""


@ranged("optimizer")
@dataclass(frozen=True)
class AdamWOptions:
    """AdamW with linear warm-up and cosine decay to zero; only matrices have weight decay.

    Args:
        learning_rate: Peak learning rate.
        weight_decay: Decoupled decay of matrices.
        warmup_share: Share of all steps in which the rate rises from zero.
        betas: Coefficients of the moment estimates.
        pretrained_factor: Learning rate of a language model's pretrained weights, as a share of the others', because
            they start from good values. Weights that ``peft`` adds have the full rate.

    Raises:
        ValueError: If a rate or share lies outside its range.

    References:
        Loshchilov and Hutter, Decoupled Weight Decay Regularization, ICLR 2019.
    """

    learning_rate: Rate = 2e-3
    weight_decay: Weight = 0.01
    warmup_share: BelowOne = 0.1
    betas: tuple[BelowOne, BelowOne] = (0.9, 0.999)
    pretrained_factor: Positive = 1.0

    def build(self, model: nn.Module, total_steps: int, fused: bool = False) -> dict[str, Any]:
        """Returns the optimiser and its schedule, for ``configure_optimizers``.

        Args:
            model: Model whose trainable parameters are optimised.
            total_steps: Optimiser steps of the whole run.
            fused: Whether one kernel does the whole update, which is faster on a CPU. It must be False in mixed
                precision, where Lightning 2.6 does not clip the gradients of such an optimiser.
        """
        loaded = loaded_names(model) if self.pretrained_factor != 1.0 else set()
        groups: list[dict[str, Any]] = [
            {"params": [], "weight_decay": decay, "lr": self.learning_rate * factor}
            for factor in ((1.0, self.pretrained_factor) if loaded else (1.0,))
            for decay in (self.weight_decay, 0.0)
        ]
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                is_vector = parameter.ndim < 2 or IA3_SCALES in name
                groups[2 * (name in loaded) + is_vector]["params"].append(parameter)
        optimizer = torch.optim.AdamW(groups, betas=(self.betas[0], self.betas[1]), fused=fused)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: self.share_at(step, total_steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def share_at(self, step: int, total_steps: int) -> float:
        """Returns the share of the peak learning rate at a step."""
        warmup = max(1, round(self.warmup_share * total_steps))
        if step < warmup:
            return (step + 1) / warmup
        progress = min(1.0, (step - warmup) / max(1, total_steps - warmup))
        return 0.5 * (1.0 + math.cos(math.pi * progress))
