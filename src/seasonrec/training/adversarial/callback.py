"""Base class of the methods of adversarial training, and the callback that runs them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Protocol

import lightning as L
import torch
from lightning.pytorch.strategies import ModelParallelStrategy

from seasonrec.batches.batch import SequenceBatch
from seasonrec.errors import UserError
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.training.adversarial.base import Generators, Method
from seasonrec.training.adversarial.passes import BatchPasses
from seasonrec.training.adversarial.random_numbers import RandomNumbers
from seasonrec.training.adversarial.shifts import PerturbationError, Watch
from seasonrec.training.adversarial.targets import changed, check_target
from seasonrec.training.module import RecommenderModule


class AdversarialCallback(L.Callback):
    """Adds a method's gradients to those of every batch, before clipping.

    The passes run in ``on_after_backward``, which Lightning calls once per batch, also where a step accumulates
    batches. A method draws from a seed of its own, which is drawn once per batch. The run then continues with the
    random numbers after that seed, so that checkpoints cover all random numbers.

    Args:
        method: Finds perturbations and trains on them.
        model: The recommender of the main domain.

    Raises:
        ValueError: If the model lacks the method's target.
    """

    def __init__(self, method: Method, model: SeasonalRecommender) -> None:
        check_target(model, method.target)
        self.method = method
        self._hooks = ExitStack()
        self._watch = Watch(method.reads_gradient)
        self._batch: tuple[SequenceBatch, int, RandomNumbers] | None = None

    def on_fit_start(self, trainer: L.Trainer, pl_module: RecommenderModule) -> None:
        for model in pl_module.recommenders().values():
            check_target(model, self.method.target)
        if isinstance(trainer.strategy, ModelParallelStrategy):
            raise UserError(
                "adversarial training needs a strategy that keeps the whole model in each process, got "
                "trainer.strategy=fsdp; choose trainer.strategy=ddp, or adversarial=none."
            )
        if any(component._compiled_call_impl is not None for component in pl_module.modules()):
            raise UserError(
                "adversarial training changes the model's inputs from pass to pass, which a compiled model does not "
                "notice; set trainer.compile=false, or adversarial=none."
            )

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: RecommenderModule, batch: SequenceBatch, batch_idx: int
    ) -> None:
        self._hooks.close()
        self._batch = batch, batch_idx, RandomNumbers.now()
        self._watch = Watch(self.method.reads_gradient)
        self._hooks.enter_context(changed(pl_module.model_of(batch), self.method.target, self._watch))

    def on_after_backward(self, trainer: L.Trainer, pl_module: RecommenderModule) -> None:
        self._hooks.close()
        if self._batch is None:
            raise PerturbationError("an adversarial pass needs the batch of the clean one, got none before it.")
        batch, batch_idx, before = self._batch
        calls = self._watch.calls
        if not calls:
            raise PerturbationError(
                f"adversarial.target={self.method.target} must be computed in every training step, got a step without "
                "it; choose another target."
            )
        generators = Generators(int(torch.randint(2**62, ())) if self.method.draws else None)
        after = RandomNumbers.now()
        passes = BatchPasses(trainer, pl_module, self.method, batch, batch_idx, before)
        self.method.train(passes, calls, passes.predict, generators)
        after.restore()
        self._forget()

    def on_train_batch_end(self, *unused: Any) -> None:
        self._forget()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self._forget()

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self._forget()

    def _forget(self) -> None:
        """Removes the hooks and the tensors of the batch."""
        self._hooks.close()
        self._batch = None
        self._watch = Watch(self.method.reads_gradient)


class AdversarialMethod(Method, Protocol):
    """Base class of the methods: a frozen dataclass whose numbers are all above 0."""

    def callbacks(self, model: SeasonalRecommender) -> list[L.Callback]:
        return [AdversarialCallback(self, model)]
