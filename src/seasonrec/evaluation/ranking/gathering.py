"""Results of several processes, merged into the frame that one process would make."""

from __future__ import annotations

import io

import numpy as np
import polars as pl
import torch
from torch import Tensor, distributed

from seasonrec.batches.sharding import Shard


def gather(frame: pl.DataFrame, shard: Shard) -> pl.DataFrame:
    """Returns the rows of all processes, baskets in the order of the log; every process must call it.

    Shards may differ in length and no row is repeated: a sampler that repeats baskets to give all processes the same
    number would change every mean. Only bytes are padded here, and the padding is removed.

    Args:
        frame: This process's results, see :func:`seasonrec.evaluation.ranking.evaluator.evaluate`.
        shard: This process's shard; ``torch.distributed`` must have its rank and world size.

    Raises:
        RuntimeError: If ``torch.distributed`` has another rank or world size, or two processes ranked one basket.
    """
    if shard.world_size == 1:
        return frame
    whole = gather_rows(frame, shard).sort("basket")
    if whole["basket"].n_unique() < whole.height:
        raise RuntimeError(
            f"each basket must be ranked by one process, got {whole.height - whole['basket'].n_unique()} of "
            f"{whole.height} twice; give evaluate the same shard as gather, in every process."
        )
    return whole


def gather_rows(frame: pl.DataFrame, shard: Shard) -> pl.DataFrame:
    """Returns the rows of all processes, with any columns, in the order of their ranks; every process must call it.

    Raises:
        RuntimeError: If ``torch.distributed`` has another rank or world size.
    """
    if shard.world_size == 1:
        return frame
    _refuse_another_world(shard)
    own = frame.write_ipc(None).getvalue()
    return pl.concat([pl.read_ipc(io.BytesIO(piece)) for piece in _all_bytes(own, shard)])


def _refuse_another_world(shard: Shard) -> None:
    started = distributed.is_available() and distributed.is_initialized()
    world = (distributed.get_rank(), distributed.get_world_size()) if started else None
    if world != (shard.rank, shard.world_size):
        found = "it was not started" if world is None else f"it has rank {world[0]} of {world[1]}"
        raise RuntimeError(
            f"torch.distributed must know this process as rank {shard.rank} of {shard.world_size}, but {found}; "
            "use Shard.current()."
        )


def _all_bytes(own: bytes, shard: Shard) -> list[bytes]:
    device = torch.device("cuda" if distributed.get_backend() == "nccl" else "cpu")
    sizes = [int(size) for size in _all_gather(torch.tensor([len(own)], device=device), shard)]
    padded = torch.zeros(max(sizes), dtype=torch.uint8)
    padded[: len(own)] = torch.from_numpy(np.frombuffer(own, dtype=np.uint8).copy())
    everyone = _all_gather(padded.to(device), shard)
    return [piece[:size].cpu().numpy().tobytes() for piece, size in zip(everyone, sizes, strict=True)]


def _all_gather(own: Tensor, shard: Shard) -> list[Tensor]:
    pieces = [torch.empty_like(own) for _ in range(shard.world_size)]
    distributed.all_gather(pieces, own)
    return pieces
