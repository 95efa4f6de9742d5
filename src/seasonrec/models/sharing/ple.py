"""PLE: every task has experts of its own beside the shared ones, level after level."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from seasonrec.batches.facts import Facts
from seasonrec.models.kernels.matmul import Linear
from seasonrec.models.sharing.experts import Experts, check_counts, mixed

SHARED = "(shared)"
"""Stands among the names of tasks for what all of them share; no task can be called so."""


class PLE(nn.Module):
    """Levels of experts: a task mixes its own with the shared ones, the shared stream those of all tasks.

    Each level adds to what came in, and its experts say 0 at first: a run begins as with hard sharing. A call computes
    the streams that its task needs, which below the last level are those of all tasks; nothing is kept from one call to
    the next.

    Args:
        num_levels: Levels; one is a customised gate control (CGC).
        num_shared: Experts of a level that all tasks share.
        num_own: Experts of a level that each task has for itself.
        facts: Facts of the data.
        tasks: Names of all tasks.

    Shape:
        - query: ``(N, D)``; output: the same.

    Raises:
        ValueError: If a count is below 1.

    References:
        Tang et al., Progressive Layered Extraction (PLE): A Novel Multi-Task Learning Model for Personalized
        Recommendations, RecSys 2020, equations 1 to 7. Departures: a level's input is added to its output; the task's
        tower is its head.
    """

    def __init__(
        self, num_levels: int = 2, num_shared: int = 2, num_own: int = 1, *, facts: Facts, tasks: tuple[str, ...]
    ) -> None:
        super().__init__()
        check_counts(num_levels=num_levels, num_shared=num_shared, num_own=num_own)
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
    """One level of extraction.

    Args:
        num_shared: Shared experts.
        num_own: Experts of each task.
        width: ``D``.
        tasks: Names of all tasks.
        is_last: Whether the shared stream ends here, and so has no gate.
    """

    def __init__(self, num_shared: int, num_own: int, width: int, tasks: tuple[str, ...], is_last: bool) -> None:
        super().__init__()
        self.experts = nn.ModuleDict({name: Experts(num_own, width) for name in tasks})
        self.experts[SHARED] = Experts(num_shared, width)
        every = num_shared + num_own * len(tasks)
        sizes = dict.fromkeys(tasks, num_shared + num_own) | ({} if is_last else {SHARED: every})
        self.gates = nn.ModuleDict({name: Linear(width, size, bias=False) for name, size in sizes.items()})

    def forward(self, streams: Mapping[str, Tensor], name: str) -> Tensor:
        """What leaves the level in a task's stream, or in the shared one, ``(N, D)``."""
        read = tuple(streams) if name == SHARED else (name, SHARED)
        said = torch.cat([self.experts[other](streams[other]) for other in read], dim=1)  # (N, E, D)
        return streams[name] + mixed(self.gates[name](streams[name]), said)
