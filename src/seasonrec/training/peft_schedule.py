"""Schedule of a tuning method by the optimiser's steps."""

from __future__ import annotations

from typing import Any

import lightning as L
from lightning.pytorch.plugins import MixedPrecision
from torch.optim import Optimizer

from seasonrec.errors import UserError
from seasonrec.models.peft.base import Peft
from seasonrec.training.distributed.strategies import SharedWeights


class PeftSchedule(L.Callback):
    """Calls of a tuning method at every step of the optimiser; checkpoints hold its state.

    Accumulated batches count as one step, and steps before a resume count. At ``on_before_optimizer_step``, gradients
    are complete, unscaled, and not yet clipped. Lightning calls the callbacks that write checkpoints last, so that
    checkpoints hold the effects of :meth:`~seasonrec.models.peft.base.Peft.after_step`.

    Args:
        peft: Tuning method.
    """

    def __init__(self, peft: Peft) -> None:
        self.peft = peft
        self._step = 0

    def state_dict(self) -> dict[str, Any]:
        return self.peft.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.peft.load_state_dict(state_dict)

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if self.peft.needs_whole_gradients:
            _refuse_partial_gradients(trainer)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._step = trainer.global_step
        self.peft.before_training(int(trainer.estimated_stepping_batches))

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Optimizer) -> None:
        self.peft.before_step(trainer.global_step)

    def on_train_batch_end(self, trainer: L.Trainer, *unused: Any) -> None:
        if trainer.global_step != self._step:
            self._step = trainer.global_step
            self.peft.after_step(self._step)


def _refuse_partial_gradients(trainer: L.Trainer) -> None:
    """Checks that gradients are neither scaled (and infinite in a skipped step) nor sharded."""
    precision = trainer.precision_plugin
    if isinstance(precision, MixedPrecision) and precision.scaler is not None:
        raise UserError(
            "peft=adalora reads the gradients of every step, and those of trainer.precision=16-mixed may be infinite; "
            "set trainer.precision to 32-true or bf16-mixed, or choose peft=lora."
        )
    if isinstance(trainer.strategy, SharedWeights):
        raise UserError(
            "peft=adalora compares the weights of all matrices, which trainer.strategy=fsdp spreads over processes; "
            "set trainer.strategy=ddp, or choose peft=lora."
        )
