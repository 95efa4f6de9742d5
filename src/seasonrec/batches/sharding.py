"""Shards of the work of several processes."""

from __future__ import annotations

from dataclasses import dataclass

from torch import distributed

from seasonrec.errors import UserError


@dataclass(frozen=True)
class Shard:
    """Share of the work of one process.

    Args:
        rank: Number of the process, from 0.
        world_size: Number of processes that share the work.

    Raises:
        ValueError: If the rank is not below the number of processes.
    """

    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world_size:
            raise UserError(f"a shard's rank must lie in 0..world_size-1, got {self.rank} of {self.world_size}.")

    @staticmethod
    def current() -> Shard:
        """Returns the shard of this process, which is all work unless ``torch.distributed`` was started."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return Shard()
        return Shard(distributed.get_rank(), distributed.get_world_size())

    @property
    def is_first(self) -> bool:
        """True for the process that writes files and prints."""
        return self.rank == 0

    def slice_of(self, count: int) -> slice:
        """Returns this process's slice of ``count`` numbers; the lengths of the slices differ by at most one."""
        return slice(count * self.rank // self.world_size, count * (self.rank + 1) // self.world_size)


WHOLE = Shard()
"""Shard of a single process, which does all work."""
