"""Work of two processes that fails in one of them. Imports are few, because each process repeats them."""

from __future__ import annotations

import os
import time
from pathlib import Path

from torch import distributed

from seasonrec.batches.sharding import Shard


def die_where_the_other_waits(shard: Shard) -> None:
    if not shard.is_first:
        raise SystemExit(7)
    distributed.barrier()


def refuse_in_the_first(shard: Shard) -> None:
    """Refuses the user's input in the first process while the other waits."""
    if shard.is_first:
        raise ValueError("data.events must name a file that exists.")
    distributed.barrier()


def wait_for_a_kill(folder: str, shard: Shard) -> None:
    """Tells that both processes are connected, and waits in the connection as a training does."""
    distributed.barrier()
    (Path(folder) / f"{shard.rank}").write_text(str(os.getpid()))
    if shard.is_first:
        time.sleep(600)
    distributed.barrier()
