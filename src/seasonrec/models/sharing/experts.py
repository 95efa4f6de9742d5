"""Expert networks whose outputs each task mixes with its own weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seasonrec.models.kernels.matmul import Linear


class Experts(nn.Module):
    """Parallel networks with one hidden layer; all outputs start at 0.

    The first layers start at different values, so that training makes the experts differ.

    Args:
        num_experts: Number of experts ``E``.
        width: Width ``D`` of input, hidden layer and output.

    Shape:
        - query: ``(N, D)``; output: ``(N, E, D)``.
    """

    def __init__(self, num_experts: int, width: int) -> None:
        super().__init__()
        self.inner = Linear(width, num_experts * width)
        self.outer = nn.Parameter(torch.zeros(num_experts, width, width))

    def forward(self, query: Tensor) -> Tensor:
        hidden = nn.functional.gelu(self.inner(query)).view(len(query), len(self.outer), -1)  # (N, E, D)
        return torch.einsum("neh,ehd->ned", hidden, self.outer)


def mixed(gate: Tensor, outputs: Tensor) -> Tensor:
    """Returns the mean ``(N, D)`` of expert outputs ``(N, E, D)``, weighted by the softmax of scores ``(N, E)``."""
    return torch.einsum("ne,ned->nd", torch.softmax(gate.float(), -1).to(outputs.dtype), outputs)
