"""Which part of the work falls to one of several processes."""

from __future__ import annotations

from dataclasses import dataclass

from torch import distributed

from seasonrec.errors import UserError


@dataclass(frozen=True)
class Shard:
    """One process's share of the work: its number, and how many there are.

    Args:
        rank: Number of the process, from 0.
        world_size: How many processes share the work.

    Raises:
        ValueError: If the numbers do not fit each other.
    """

    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world_size:
            raise UserError(f"a shard's rank must lie in 0..world_size-1, got {self.rank} of {self.world_size}.")

    @staticmethod
    def current() -> Shard:
        """The share of this process: all of it, unless ``torch.distributed`` was started."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return Shard()
        return Shard(distributed.get_rank(), distributed.get_world_size())

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0

    def part(self, count: int) -> slice:
        """This process's part of ``count`` things in a row: parts follow each other and differ by one at most."""
        return slice(count * self.rank // self.world_size, count * (self.rank + 1) // self.world_size)


WHOLE = Shard()
"""All of the work, in one process."""
