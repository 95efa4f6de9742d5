"""How several processes train one model: copies of it that share gradients, or shares of its weights."""

from __future__ import annotations

from typing import Any

import lightning as L
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy, Strategy
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method


def strategy_of(name: str, world_size: int, some_unused: bool = False) -> str | Strategy:
    """What the trainer is given.

    Args:
        name: ``"auto"``, ``"ddp"`` or ``"fsdp"``.
        world_size: Processes of the run.
        some_unused: Whether there are steps that reach only some of the weights.
    """
    if world_size == 1:
        return "auto"
    if name == "fsdp":
        return SharedWeights(world_size, 1, save_distributed_checkpoint=False)
    return DDPStrategy(
        broadcast_buffers=False,  # they are constants, and a broadcast would need as many batches on every rank
        gradient_as_bucket_view=True,  # gradients lie once in memory
        find_unused_parameters=some_unused,
    )


class SharedWeights(ModelParallelStrategy):
    """Each process keeps a share of every weight, of its gradient and of the optimiser's state (FSDP2).

    The weights are gathered for a step and given up after it. Every weight keeps its name and its shape, so that the
    optimiser's groups, the clipping of gradients and the files of weights are those of one process.
    """


def share_weights(module: L.LightningModule, strategy: Any) -> None:
    """Cuts a module's weights into shares where its strategy asks for it; else leaves it alone.

    Called from ``configure_model``. The steps are named because Lightning calls them and not ``forward``, at which
    the weights would be gathered.
    """
    if isinstance(strategy, SharedWeights):
        fully_shard(module, mesh=strategy.device_mesh["data_parallel"])
        for step in ("training_step", "validation_step"):
            register_fsdp_forward_method(module, step)
