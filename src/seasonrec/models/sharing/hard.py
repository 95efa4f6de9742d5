"""Hard sharing: every task reads the same query."""

from __future__ import annotations

from torch import Tensor, nn

from seasonrec.batches.facts import Facts


class HardSharing(nn.Module):
    """Gives every task the query as it is; what tells the tasks apart is their heads.

    Shape:
        - query: ``(N, D)``; output: the same.

    References:
        Caruana, Multitask Learning, Machine Learning 1997.
    """

    def __init__(self, *, facts: Facts, tasks: tuple[str, ...]) -> None:
        super().__init__()

    def forward(self, query: Tensor, task: str) -> Tensor:
        return query
