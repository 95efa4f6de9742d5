"""Work of two processes that fails in one of them. Imports little, because a process begins with its imports."""

from __future__ import annotations

from torch import distributed

from seasonrec.batches.sharding import Shard


def die_where_the_other_waits(shard: Shard) -> None:
    if not shard.is_first:
        raise SystemExit(7)
    distributed.barrier()


def refuse_in_the_first(shard: Shard) -> None:
    """The first refuses the user's input while the other waits for it."""
    if shard.is_first:
        raise ValueError("data.events must name a file that exists.")
    distributed.barrier()
