"""Dropout with a fast mask on a CPU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = 2**16
"""Number of values of an element's random number."""
DRAWS = 4
"""Elements per 64-bit draw."""


class Dropout(nn.Dropout):
    """``nn.Dropout`` at a fraction of its cost on a CPU.

    On a CPU torch draws a double and branches per element, which costs more than the rest of a narrow layer. Here each
    element uses 16 random bits, so that one draw serves four elements. The dropout rate differs from ``p`` by at most
    1/131,072. Kept elements are scaled by the actual rate, so the expected output is the input.
    ``benchmarks/dropout.py`` compares the two.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        draws_fast = inputs.device.type == "cpu" and 0.0 < self.p < 1.0 and not torch.compiler.is_compiling()
        if not self.training or not draws_fast:
            return F.dropout(inputs, self.p, self.training)
        dropped = min(round(self.p * LEVELS), LEVELS - 1)
        draws = torch.empty(-(-inputs.numel() // DRAWS), dtype=torch.int64).random_(-(2**63), None)
        kept = draws.view(torch.int16)[: inputs.numel()].ge_(dropped - LEVELS // 2).view(inputs.shape)
        return inputs * kept.to(inputs.dtype).mul_(LEVELS / (LEVELS - dropped))
