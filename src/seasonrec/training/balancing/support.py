"""What a run must not be for the gradient of each task to be had."""

from __future__ import annotations

import lightning as L
from torch import nn

from seasonrec.errors import UserError
from seasonrec.training.adversarial.none import NoAdversarial


def check_each_gradient(trainer: L.Trainer, model: nn.Module, asker: str, switch: str) -> None:
    """Refuses runs in which the graph of a batch cannot be gone through once for each task.

    Args:
        trainer: Of the run.
        model: What is trained.
        asker: Who wants to, for the message.
        switch: The setting that does without, for the message.

    Raises:
        ValueError: Names the setting that stands against it, and both ways out.
    """
    if getattr(trainer.precision_plugin, "scaler", None) is not None:
        raise UserError(
            f"{asker} takes the gradient of each task by itself, which the loss scaling of trainer.precision=16-mixed "
            f"does not reach; set trainer.precision=bf16-mixed, or {switch}."
        )
    if any(part._compiled_call_impl is not None for part in model.modules()):
        raise UserError(
            f"{asker} goes back through the model once for each task, and a compiled model may give up its memory "
            f"after the first time; set trainer.compile=false, or {switch}."
        )


class OwnGradients(L.Callback):
    """Refuses, before training begins, what does not go together with a balancing that adds up gradients itself."""

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Looks at the run.

        Raises:
            ValueError: If there are several processes (what they do to share gradients hangs on the trainer's own
                backward pass), adversarial passes, a loss scaler or a compiled model.
        """
        switch = "balancing=uncertainty, dwa or fixed"
        asker = "this balancing"
        check_each_gradient(trainer, pl_module, asker, switch)
        if trainer.world_size > 1:
            raise UserError(
                f"{asker} adds up the gradients of the tasks itself, and several processes would not share them, got "
                f"{trainer.world_size}; set trainer.devices=1 and trainer.num_nodes=1, or {switch}."
            )
        if not isinstance(pl_module.adversarial, NoAdversarial | None):
            raise UserError(
                f"{asker} looks at the gradients of the clean batch alone, and adversarial passes would be added to "
                f"them unbalanced; set adversarial=none, or {switch}."
            )
