"""Progress of training for the components that follow it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning as L
from torch import nn

from seasonrec.models.components import FollowsTraining


class ComponentSchedule(L.Callback):
    """Tells components before every batch how far training is, as a share of the planned optimiser steps.

    The share follows from the trainer's counters alone, so that a resumed run needs no state. Accumulated batches have
    the same share. The plan is ``trainer.max_epochs``; training that stops earlier ends before the share is 1.

    Args:
        components: Components that follow the training.
    """

    def __init__(self, components: Sequence[FollowsTraining]) -> None:
        self.components = components
        self._steps = 1

    @staticmethod
    def of(module: nn.Module) -> list[L.Callback]:
        """Returns the callback for the components of a module, or nothing if none follows the training."""
        found = [component for component in module.modules() if isinstance(component, FollowsTraining)]
        return [ComponentSchedule(found)] if found else []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._steps = max(1, int(trainer.estimated_stepping_batches))

    def on_train_batch_start(self, trainer: L.Trainer, *unused: Any) -> None:
        for component in self.components:
            component.at_progress(trainer.global_step / self._steps)
