"""Checks that a run supports per-task gradients."""

from __future__ import annotations

import lightning as L
from torch import nn

from seasonrec.errors import UserError
from seasonrec.training.adversarial.none import NoAdversarial


def check_per_task_gradients(trainer: L.Trainer, model: nn.Module, feature: str, remedy: str) -> None:
    """Checks that a run supports one backward pass per task.

    Args:
        trainer: Trainer of the run.
        model: Model that is trained.
        feature: Feature that needs these passes, for the message.
        remedy: Setting without the feature, for the message.

    Raises:
        ValueError: If it does not; the message names the setting that prevents it and both remedies.
    """
    if getattr(trainer.precision_plugin, "scaler", None) is not None:
        raise UserError(
            f"{feature} computes the gradient of each task, which the loss scaling of trainer.precision=16-mixed "
            f"does not reach; set trainer.precision=bf16-mixed, or {remedy}."
        )
    if any(component._compiled_call_impl is not None for component in model.modules()):
        raise UserError(
            f"{feature} runs one backward pass per task, and a compiled model may free its memory "
            f"after the first one; set trainer.compile=false, or {remedy}."
        )


class GradientBalancingCheck(L.Callback):
    """Check, at the start of training, that a run supports a balancing that combines gradients itself."""

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Checks the run.

        Raises:
            ValueError: If there are several processes (which share gradients in the trainer's own backward pass),
                adversarial passes, a loss scaler or a compiled model.
        """
        feature, remedy = "this balancing", "balancing=uncertainty, dwa or fixed"
        check_per_task_gradients(trainer, pl_module, feature, remedy)
        if trainer.world_size > 1:
            raise UserError(
                f"{feature} combines the gradients of the tasks itself, and several processes would not share them, "
                f"got {trainer.world_size}; set trainer.devices=1 and trainer.num_nodes=1, or {remedy}."
            )
        if not isinstance(pl_module.adversarial, NoAdversarial | None):
            raise UserError(
                f"{feature} reads the gradients of the clean batch only, and adversarial passes would be added "
                f"unbalanced; set adversarial=none, or {remedy}."
            )
