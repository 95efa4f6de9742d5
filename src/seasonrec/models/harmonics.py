"""Sines and cosines of the time of year."""

from __future__ import annotations

import torch
from torch import Tensor


def harmonics(year_phase: Tensor, unseen_days: Tensor, num_harmonics: int, coverage_days: float) -> Tensor:
    """Returns sines and cosines of the time of year, zero until the log covers a full year.

    Args:
        year_phase: ``(...)`` angle of the day in the year.
        unseen_days: ``(...)`` days that the log lacks to cover a full year before the day.
        num_harmonics: Sine-cosine pairs ``K``.
        coverage_days: The features fade in during these last days before the log covers a full year.

    Returns:
        ``(..., 2 K)``: sines, then cosines.
    """
    order = torch.arange(1, num_harmonics + 1, device=year_phase.device)
    angle = year_phase[..., None] * order
    coverage = (1 - unseen_days / coverage_days).clamp(min=0)[..., None]
    return torch.cat([angle.sin(), angle.cos()], dim=-1) * coverage
