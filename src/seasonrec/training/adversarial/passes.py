"""Further passes over a batch for a method of adversarial training, run as Lightning runs them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import lightning as L
import torch
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.training.adversarial.base import Loss, Method
from seasonrec.training.adversarial.random_numbers import RandomNumbers
from seasonrec.training.adversarial.shifts import Deltas, PerturbationError, Shift, TargetCall, Watch
from seasonrec.training.adversarial.targets import Change, changed
from seasonrec.training.module import RecommenderModule


@dataclass(frozen=True)
class BatchPasses:
    """:class:`~seasonrec.training.adversarial.base.Passes` over one batch.

    A pass that trains uses the trainer's strategy, so that the processes of a run share its gradients. A pass that
    only computes the perturbation's gradient does not, because each process perturbs its own batch.

    Args:
        trainer: Gives precision, strategy and the number of batches per step.
        module: Module whose training step is run.
        method: Method whose target is perturbed.
        batch: The batch.
        batch_idx: Its number in the epoch.
        random: State of the random numbers before its clean pass.
    """

    trainer: L.Trainer
    module: RecommenderModule
    method: Method
    batch: SequenceBatch
    batch_idx: int
    random: RandomNumbers

    def predict(self) -> Tensor:
        """Returns ``(N, C)`` logits of the batch, ``-inf`` where an item is no candidate."""
        model = self.module.model_of(self.batch)
        return model.mask_unavailable(model(self.batch).float(), self.batch)

    def look(self, loss: Loss) -> tuple[Tensor, list[TargetCall]]:
        watch = Watch(keeps_gradient=False)
        with torch.no_grad(), self._changed(watch), self._precision():
            return loss(), watch.calls

    def gradients(self, deltas: Deltas, loss: Loss | None = None) -> Deltas:
        leaves = _leaves(deltas)
        with self._shifted(leaves), self._returning(loss), self._precision():
            found = self.module.training_step(self.batch, self.batch_idx)
        return _gradients(self._scaled(found), leaves)

    def train(self, deltas: Deltas, share: float, loss: Loss | None = None, wants_gradients: bool = False) -> Deltas:
        leaves = _leaves(deltas) if wants_gradients else deltas
        with self._shifted(leaves), self._returning(loss):
            found = self.trainer.strategy.training_step(self.batch, self.batch_idx)
        weight = 1.0 if self.batch.weight is None else self.batch.weight
        scaled = self._scaled(found * (weight * (share / self.trainer.accumulate_grad_batches)))
        self._check(scaled)
        scaled.backward()  # type: ignore[no-untyped-call]  # torch's
        return [None if leaf is None else leaf.grad for leaf in leaves]

    @contextmanager
    def _shifted(self, deltas: Deltas) -> Iterator[None]:
        shift = Shift(deltas, self.method.target, self.method.reads_gradient)
        with self._changed(shift):
            yield
        shift.check_all_added()

    def _changed(self, change: Change) -> AbstractContextManager[None]:
        self.random.restore()
        return changed(self.module.model_of(self.batch), self.method.target, change)

    def _returning(self, loss: Loss | None) -> AbstractContextManager[None]:
        """Makes the training step return the bare objective, or another loss, and log nothing."""
        return self.module.adversarial_pass(None if loss is None else lambda: self._with_all_gradients(loss()))

    def _with_all_gradients(self, loss: Tensor) -> Tensor:
        """Returns the loss with a gradient for every weight; in several processes, DDP waits for all of them."""
        if self.trainer.world_size == 1:
            return loss
        weights = [weight for weight in self.module.parameters() if weight.requires_grad]
        return loss + 0.0 * torch.stack([weight.sum() for weight in weights]).sum()

    def _precision(self) -> Any:
        return self.trainer.precision_plugin.train_step_context()

    def _scaled(self, loss: Tensor) -> Tensor:
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        return loss if scaler is None else scaler.scale(loss)

    def _check(self, loss: Tensor) -> None:
        """Checks that a loss is finite; with a loss scaler, the step would be skipped instead."""
        if getattr(self.trainer.precision_plugin, "scaler", None) is None and not torch.isfinite(loss):
            raise PerturbationError(
                f"the loss of an adversarial pass must be finite, got {loss.item()} at step {self.trainer.global_step} "
                "although that of the clean pass was; lower adversarial.size."
            )


def _leaves(deltas: Deltas) -> list[Tensor | None]:
    return [None if delta is None else delta.detach().requires_grad_() for delta in deltas]


def _gradients(loss: Tensor, leaves: Deltas) -> Deltas:
    asked = [leaf for leaf in leaves if leaf is not None]
    found = iter(torch.autograd.grad(loss, asked, allow_unused=True) if asked else ())
    return [None if leaf is None else next(found) for leaf in leaves]
