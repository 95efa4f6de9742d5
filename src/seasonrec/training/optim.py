"""Optimisers and schedules."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

IA3_SCALES = ".ia3_l."
"""In the names of weights that are vectors, although peft keeps them as matrices of one row or column."""


@dataclass(frozen=True)
class AdamWOptions:
    """AdamW with linear warm-up and cosine decay to zero.

    Biases, norms, and other parameters of fewer than two dimensions are not decayed.

    Args:
        learning_rate: Peak learning rate.
        weight_decay: Decoupled decay of matrices.
        warmup_share: Share of all steps over which the rate rises from zero.
        betas: Of the moment estimates.

    Raises:
        ValueError: If a rate or share lies outside its range.

    References:
        Loshchilov and Hutter, Decoupled Weight Decay Regularization, ICLR 2019.
    """

    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    warmup_share: float = 0.1
    betas: tuple[float, float] = (0.9, 0.999)

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise ValueError(f"optimizer.learning_rate must be above 0, got {self.learning_rate}; try 0.002.")
        if not 0 <= self.warmup_share < 1:
            raise ValueError(f"optimizer.warmup_share must lie in [0, 1), got {self.warmup_share}; try 0.1.")

    def build(self, model: nn.Module, total_steps: int, fused: bool = False) -> dict[str, Any]:
        """What ``configure_optimizers`` returns.

        Args:
            model: Its trainable parameters are optimised.
            total_steps: Optimiser steps of the whole run.
            fused: One kernel for all of an update, which is faster on a CPU. Not in mixed precision, where
                Lightning 2.6 does not clip for an optimiser that could unscale gradients by itself.
        """
        decayed: list[nn.Parameter] = []
        kept: list[nn.Parameter] = []
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                (kept if parameter.ndim < 2 or IA3_SCALES in name else decayed).append(parameter)
        groups = [{"params": decayed, "weight_decay": self.weight_decay}, {"params": kept, "weight_decay": 0.0}]
        betas = (self.betas[0], self.betas[1])
        optimizer = torch.optim.AdamW(groups, lr=self.learning_rate, betas=betas, fused=fused)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: self.share_at(step, total_steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def share_at(self, step: int, total_steps: int) -> float:
        """Share of the peak learning rate at a step."""
        warmup = max(1, round(self.warmup_share * total_steps))
        if step < warmup:
            return (step + 1) / warmup
        progress = min(1.0, (step - warmup) / max(1, total_steps - warmup))
        return 0.5 * (1.0 + math.cos(math.pi * progress))
