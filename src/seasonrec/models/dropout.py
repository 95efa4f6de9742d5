"""Dropout that draws its mask quickly on a CPU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Dropout(nn.Dropout):
    """``nn.Dropout``, to the last bit and the last random number, at under half its cost on a CPU.

    There torch branches on every random number that it draws for a mask (15 ns an element on the machine it was
    measured on), which is more than the rest of an element's way through a narrow layer costs. The same numbers drawn
    first and compared afterwards take 6 ns. ``benchmarks/limit.py`` shows what share of a step is left of it.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        draws_fast = inputs.device.type == "cpu" and 0.0 < self.p < 1.0 and not torch.compiler.is_compiling()
        if not self.training or not draws_fast:
            return F.dropout(inputs, self.p, self.training)
        keep = 1.0 - self.p
        drawn = torch.empty_like(inputs, dtype=torch.float64, requires_grad=False).uniform_()
        return inputs * drawn.lt_(keep).to(inputs.dtype).div_(keep)
