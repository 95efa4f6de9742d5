"""Dropout that draws its mask quickly on a CPU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = 2**16
"""Values that the random number of one element takes."""
DRAWS = 4
"""Random numbers of ``LEVELS`` values in one draw of 64 bits."""


class Dropout(nn.Dropout):
    """``nn.Dropout`` at a fraction of its cost on a CPU.

    There torch spends a double of its own on every element and branches on it, which is more than the rest of an
    element's way through a narrow layer costs. Sixteen bits decide here, four elements to a draw: ``p`` is met to
    1/131,072, and what is kept is scaled by the share that is truly kept, so that the expected output is the input.
    ``benchmarks/dropout.py`` sets the two side by side.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        draws_fast = inputs.device.type == "cpu" and 0.0 < self.p < 1.0 and not torch.compiler.is_compiling()
        if not self.training or not draws_fast:
            return F.dropout(inputs, self.p, self.training)
        dropped = min(round(self.p * LEVELS), LEVELS - 1)
        draws = torch.empty(-(-inputs.numel() // DRAWS), dtype=torch.int64).random_(-(2**63), None)
        kept = draws.view(torch.int16)[: inputs.numel()].ge_(dropped - LEVELS // 2).view(inputs.shape)
        return inputs * kept.to(inputs.dtype).mul_(LEVELS / (LEVELS - dropped))
