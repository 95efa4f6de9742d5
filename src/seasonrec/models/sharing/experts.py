"""Small networks that tasks mix, each in its own proportions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seasonrec.errors import UserError
from seasonrec.models.kernels.matmul import Linear


class Experts(nn.Module):
    """Networks of one hidden layer side by side; all say 0 at the start, so that what adds them begins without them.

    Their first layers differ, so that they part as soon as they are trained.

    Args:
        num_experts: How many, ``E``.
        width: Of input, hidden layer and output, ``D``.

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


def mixed(gate: Tensor, said: Tensor) -> Tensor:
    """``(N, E)`` scores and ``(N, E, D)`` of the experts to their mean ``(N, D)``, weighed by the scores' softmax."""
    return torch.einsum("ne,ned->nd", torch.softmax(gate.float(), -1).to(said.dtype), said)


def check_counts(**counts: int) -> None:
    """Refuses counts below 1.

    Raises:
        ValueError: Names the setting.
    """
    for name, count in counts.items():
        if count < 1:
            raise UserError(f"sharing.{name} must be at least 1, got {count}; sharing=hard has no experts.")
