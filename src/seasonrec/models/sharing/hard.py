"""Hard sharing: every task reads the same query."""

from __future__ import annotations

from torch import Tensor, nn

from seasonrec.batches.facts import Facts


class HardSharing(nn.Module):
    """The identity: every task reads the same query, and only the heads differ.

    Shape:
        - query: ``(N, D)``; output: the same.

    References:
        Caruana, Multitask Learning, Machine Learning 1997.
    """

    def __init__(self, *, facts: Facts, tasks: tuple[str, ...]) -> None:
        super().__init__()

    def forward(self, query: Tensor, task: str) -> Tensor:
        return query
