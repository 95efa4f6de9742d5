"""PLE: every level has shared experts and experts of each task."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from seasonrec.batches.facts import Facts
from seasonrec.models.kernels.matmul import Linear
from seasonrec.models.sharing.experts import Experts, mixed
from seasonrec.ranges import Depth, ranged

SHARED = "(shared)"
"""Name of the shared stream among the names of tasks; no task can have it."""


@ranged("sharing")
class PLE(nn.Module):
    """Levels of experts: a task mixes its own and the shared experts, the shared stream mixes all of them.

    Each level adds its mixture to its input, and the experts' outputs start at 0, so that a run starts like hard
    sharing. Each call computes only the streams that its task needs.

    Args:
        num_levels: Number of levels; one level is customised gate control (CGC).
        num_shared: Shared experts per level.
        num_own: Experts per level and task.

    Shape:
        - query: ``(N, D)``; output: the same.

    Raises:
        ValueError: If a count is below 1.

    References:
        Tang et al., Progressive Layered Extraction (PLE): A Novel Multi-Task Learning Model for Personalized
        Recommendations, RecSys 2020, equations 1 to 7. Departures: a level's input is added to its output; the tower
        of a task is its head.
    """

    def __init__(
        self, num_levels: Depth = 2, num_shared: Depth = 2, num_own: Depth = 1, *, facts: Facts, tasks: tuple[str, ...]
    ) -> None:
        super().__init__()
        self.tasks = tasks
        lasts = [level + 1 == num_levels for level in range(num_levels)]
        self.levels = nn.ModuleList(Level(num_shared, num_own, facts.embedding_dim, tasks, last) for last in lasts)

    def forward(self, query: Tensor, task: str) -> Tensor:
        streams = dict.fromkeys((*self.tasks, SHARED), query)
        *lower, last = self.levels
        for level in lower:
            wanted = (task, SHARED) if level is lower[-1] else tuple(streams)
            streams = {name: level(streams, name) for name in wanted}
        return last(streams, task)


class Level(nn.Module):
    """One level of extraction; at the last level the shared stream ends and has no gate."""

    def __init__(self, num_shared: int, num_own: int, width: int, tasks: tuple[str, ...], is_last: bool) -> None:
        super().__init__()
        self.experts = nn.ModuleDict({name: Experts(num_own, width) for name in tasks})
        self.experts[SHARED] = Experts(num_shared, width)
        every = num_shared + num_own * len(tasks)
        sizes = dict.fromkeys(tasks, num_shared + num_own) | ({} if is_last else {SHARED: every})
        self.gates = nn.ModuleDict({name: Linear(width, size, bias=False) for name, size in sizes.items()})

    def forward(self, streams: Mapping[str, Tensor], name: str) -> Tensor:
        """Returns the level's output ``(N, D)`` in a task's stream or in the shared stream."""
        read = tuple(streams) if name == SHARED else (name, SHARED)
        outputs = torch.cat([self.experts[other](streams[other]) for other in read], dim=1)  # (N, E, D)
        return streams[name] + mixed(self.gates[name](streams[name]), outputs)
