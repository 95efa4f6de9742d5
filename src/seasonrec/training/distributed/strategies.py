"""Strategies of several processes: copies of the model that share gradients, or shards of its weights."""

from __future__ import annotations

from typing import Any

import lightning as L
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy, Strategy
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method


def strategy_of(name: str, world_size: int, some_unused: bool = False) -> str | Strategy:
    """Returns the strategy for the trainer.

    Args:
        name: ``"auto"``, ``"ddp"`` or ``"fsdp"``.
        world_size: Processes of the run.
        some_unused: Whether some steps use only some of the weights.
    """
    if world_size == 1:
        return "auto"
    if name == "fsdp":
        return SharedWeights(world_size, 1, save_distributed_checkpoint=False)
    return DDPStrategy(
        broadcast_buffers=False,  # they are constants, and processes may have different numbers of batches
        gradient_as_bucket_view=True,  # saves a copy of the gradients
        find_unused_parameters=some_unused,
    )


class SharedWeights(ModelParallelStrategy):
    """FSDP2: each process holds a shard of every weight, of its gradient and of the optimiser's state.

    The weights are gathered for a step and freed after it. They keep their names and shapes.
    """


def share_weights(module: L.LightningModule, strategy: Any) -> None:
    """Shards a module's weights if its strategy is :class:`SharedWeights`.

    The weights are gathered at ``forward``, which Lightning does not call, so that the steps are registered instead.
    """
    if isinstance(strategy, SharedWeights):
        fully_shard(module, mesh=strategy.device_mesh["data_parallel"])
        for step in ("training_step", "validation_step"):
            register_fsdp_forward_method(module, step)
