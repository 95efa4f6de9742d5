"""MMoE: every task mixes the same experts with its own weights."""

from __future__ import annotations

from torch import Tensor, nn

from seasonrec.batches.facts import Facts
from seasonrec.models.kernels.matmul import Linear
from seasonrec.models.sharing.experts import Experts, mixed
from seasonrec.ranges import Depth, ranged


@ranged("sharing")
class MMoE(nn.Module):
    """A mixture of shared experts, added to the query; each task has a gate that reads the query and sets the weights.

    The experts' outputs start at 0, so that a run starts like hard sharing. They are computed again for each task.

    Args:
        num_experts: Experts ``E`` that the tasks share.

    Shape:
        - query: ``(N, D)``; output: the same.

    Raises:
        ValueError: If ``num_experts`` is below 1.

    References:
        Ma et al., Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts, KDD 2018,
        equations 6 and 7. Departures: the query is added to the mixture; the tower of a task is its head.
    """

    def __init__(self, num_experts: Depth = 4, *, facts: Facts, tasks: tuple[str, ...]) -> None:
        super().__init__()
        self.experts = Experts(num_experts, facts.embedding_dim)
        self.gates = nn.ModuleDict({task: Linear(facts.embedding_dim, num_experts, bias=False) for task in tasks})

    def forward(self, query: Tensor, task: str) -> Tensor:
        return query + mixed(self.gates[task](query), self.experts(query))
