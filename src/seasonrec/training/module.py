"""The LightningModule of all models."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import lightning as L
import torch
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.errors import UserError
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.models.task.base import MAIN_TASK
from seasonrec.training.adversarial.base import Adversarial
from seasonrec.training.balancing.base import Balancing, GradientBalancing
from seasonrec.training.balancing.fixed import FixedBalancing
from seasonrec.training.balancing.gradients import add_gradients
from seasonrec.training.component_schedule import ComponentSchedule
from seasonrec.training.distributed.means import PassMeans
from seasonrec.training.distributed.strategies import SharedWeights, share_weights
from seasonrec.training.interference import TaskInterference
from seasonrec.training.loss.base import Loss
from seasonrec.training.objective import Losses, Objective, total
from seasonrec.training.optimizer import AdamWOptions
from seasonrec.training.peft_schedule import PeftSchedule

BatchMetrics = Callable[[Tensor, SequenceBatch], Mapping[str, Tensor]]
"""Function of logits ``(N, V)`` and their batch that returns metrics by name, each ``(M,)``: a value per target."""

MAIN = "model."
"""Prefix of the names of the main model's weights in the module."""


def domain_prefix(name: str) -> str:
    """Returns the prefix of the names of a further domain's weights in the module."""
    return f"domains.{name}."


class NonFiniteLossError(UserError):
    """Loss that is not finite; the message names the file with the batch's ids."""


class RecommenderModule(L.LightningModule):
    """Training and validation steps of a :class:`SeasonalRecommender`.

    Args:
        model: The recommender.
        loss: Loss of its scores against the next items.
        optimizer: Optimiser and schedule.
        batch_metrics: Metrics per target that validation averages and logs as ``val/<name>``.
        run_dir: Folder for the ids of a batch with a non-finite loss.
        objective: Weights of the recommendation tasks and of the time-series task.
        balancing: Weights of the recommendation tasks; called with ``tasks=``.
        adversarial: Further training on perturbed inputs; None for none.
        domains: Models of further domains and their losses by name. They train on the next items of their domain's
            batches, and may share components with the model.
    """

    def __init__(
        self,
        model: SeasonalRecommender,
        loss: Loss,
        optimizer: AdamWOptions,
        batch_metrics: BatchMetrics,
        run_dir: Path,
        *,
        objective: Objective = Objective(),  # noqa: B008  # frozen
        balancing: Callable[..., Balancing] = FixedBalancing,
        adversarial: Adversarial | None = None,
        domains: Mapping[str, tuple[SeasonalRecommender, Loss]] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.domains = nn.ModuleDict({name: other for name, (other, _) in (domains or {}).items()})
        self.domain_losses = {name: other_loss for name, (_, other_loss) in (domains or {}).items()}
        self.loss = loss
        self.optimizer = optimizer
        self.batch_metrics = batch_metrics
        self.run_dir = run_dir
        self.means = PassMeans()
        self.objective = objective
        self.series = tuple(name for name, head in model.task.items() if head.is_series)
        if objective.lambda_mt == 0 and not self.series:
            raise UserError(
                "objective.lambda_mt=0 leaves nothing to be learned without a time-series task; give it a value above "
                "0, or add task=[demand]."
            )
        self.tasks = (MAIN_TASK, *(name for name in model.task if name not in self.series))
        self.balancing = balancing(tasks=self.tasks)
        weights = {name: getattr(model.task[name], "default_weight", 1.0) for name in self.tasks[1:]}
        self.balancing.take_defaults({MAIN_TASK: 1.0} | weights)
        self.adversarial = adversarial
        self.is_adversarial_pass = False
        self._pass_loss: Callable[[], Tensor] | None = None
        self._frozen_items = ExitStack()
        self.step_losses: dict[str, Tensor] = {}
        """Losses of the last batch by name, without their graph, for the lines of progress."""
        self.batch_losses: Losses | None = None
        """Losses of the current batch with their graph, if per-task gradients are needed."""
        self._batch_weight: Tensor | None = None

    def configure_model(self) -> None:
        share_weights(self, self.trainer.strategy)

    def configure_callbacks(self) -> list[L.Callback]:
        """Returns the callbacks that this module needs in any trainer."""
        adversarial = [] if self.adversarial is None else self.adversarial.callbacks(self.model)
        every = self.objective.interference_every_steps
        interference = [TaskInterference(every, self.run_dir / "interference.csv")] if every else []
        peft = [PeftSchedule(self.model.peft)] if self.model.peft else []
        schedule = ComponentSchedule.of(self)
        return [*schedule, *adversarial, *self.balancing.callbacks(), *peft, *interference, _BrokenPass()]

    def losses(self, batch: SequenceBatch) -> Losses:
        """Returns every task's loss, a mean over its own samples; ``next_item`` has the chosen loss over targets."""
        reading = self.model.read(batch)
        found = {name: output.loss for name, output in self.model.tasks_of(reading, batch).items()}
        tasks = {MAIN_TASK: self.loss(self.model, batch, reading)}
        tasks |= {name: loss for name, loss in found.items() if name not in self.series}
        return Losses(tasks, {name: found[name] for name in self.series}, reading.penalties)

    @contextmanager
    def adversarial_pass(self, loss: Callable[[], Tensor] | None = None) -> Iterator[None]:
        """Makes the training step return the objective alone, and log and count nothing, within the context.

        Args:
            loss: Replaces the objective. The step calls it, because a strategy only runs methods of the module.
        """
        self.is_adversarial_pass, self._pass_loss = True, loss
        try:
            yield
        finally:
            self.is_adversarial_pass, self._pass_loss = False, None

    def training_step(self, batch: SequenceBatch, batch_idx: int) -> Tensor:
        if self._pass_loss is not None:
            return self._pass_loss()
        is_main = batch.domain is None
        losses = self.losses(batch) if batch.domain is None else self._domain_losses(batch, batch.domain)
        weighed = self.balancing.weigh(losses.tasks) if is_main else losses.tasks
        objective = total(losses.terms(weighed, self.objective))
        if self.is_adversarial_pass:
            return objective
        if not torch.isfinite(objective):
            self._stop_at(batch, losses.by_name())
        if is_main:
            self._observe(losses)
        shown = losses.by_name() if is_main else losses.tasks
        self.step_losses = {name: loss.detach() for name, loss in shown.items()}
        for name, loss in self.step_losses.items():
            self.log(f"train/{name}", loss, batch_size=len(batch.target_items), prog_bar=True)
        self._batch_weight = batch.weight
        return objective if batch.weight is None else objective * batch.weight

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Adds the gradient of the objective; a gradient balancing combines the tasks' gradients itself."""
        losses, self.batch_losses = self.batch_losses, None
        if losses is None or not isinstance(self.balancing, GradientBalancing):
            super().backward(loss, *args, **kwargs)
        else:
            weight = 1.0 if self._batch_weight is None else self._batch_weight.double()
            share = weight / self.trainer.accumulate_grad_batches
            add_gradients(losses, self.objective, self.balancing, self.model.parameters(), share)

    def on_validation_start(self) -> None:
        """Computes the vectors of all items once for the pass, unless the weights are sharded."""
        if not isinstance(self.trainer.strategy, SharedWeights):
            for model in self.recommenders().values():
                self._frozen_items.enter_context(model.frozen_items())

    def on_validation_end(self) -> None:
        self._frozen_items.close()

    def forget_pass(self) -> None:
        """Discards the item vectors and sums of an interrupted validation."""
        self._frozen_items.close()
        self.means = PassMeans()

    def validation_step(self, batch: SequenceBatch, batch_idx: int) -> None:
        model, prefix = self.model_of(batch), "" if batch.domain is None else f"{batch.domain}/"
        reading = model.read(batch)
        for name, values in self.batch_metrics(reading.scores(), batch).items():
            self.means.add(prefix + name, values)
        for name, output in model.tasks_of(reading, batch).items():
            self.means.add(f"{name}/loss", output.loss.expand(len(output.truth)))

    def on_validation_epoch_end(self) -> None:
        for name, mean in self.means.take().items():
            self.log(f"val/{name}", mean, prog_bar=True)

    def recommenders(self) -> dict[str, SeasonalRecommender]:
        """Returns every model by the prefix of its weights' names in ``state_dict``, the main model first."""
        others = {domain_prefix(name): cast(SeasonalRecommender, other) for name, other in self.domains.items()}
        return {MAIN: self.model, **others}

    def model_of(self, batch: SequenceBatch) -> SeasonalRecommender:
        """Returns the model of the batch's domain."""
        return self.recommenders()[MAIN if batch.domain is None else domain_prefix(batch.domain)]

    def _domain_losses(self, batch: SequenceBatch, domain: str) -> Losses:
        """Returns the loss of a further domain's next items, and the penalties of shared components."""
        model = self.model_of(batch)
        reading = model.read(batch)
        loss = self.domain_losses[domain](model, batch, reading)
        return Losses({f"{domain}/{MAIN_TASK}": loss}, {}, reading.penalties)

    def _observe(self, losses: Losses) -> None:
        """Logs the balancing's weights and gives it the losses of the main domain, the only ones that it weighs."""
        for name, weight in self.balancing.current().items():
            self.log(f"balancing/{name}", weight, batch_size=1)
        self.balancing.observe({name: loss.detach() for name, loss in losses.tasks.items()})
        if isinstance(self.balancing, GradientBalancing) or self.objective.interference_every_steps:
            self.batch_losses = losses

    def configure_optimizers(self) -> Any:
        mixed = isinstance(self.trainer.precision_plugin, MixedPrecision)
        return self.optimizer.build(self, int(self.trainer.estimated_stepping_batches), fused=not mixed)

    def _stop_at(self, batch: SequenceBatch, losses: dict[str, Tensor]) -> None:
        path = self.run_dir / "nonfinite_batch.json"
        kept = {
            "epoch": self.current_epoch,
            "step": self.global_step,
            "domain": batch.domain,
            "losses": {name: repr(loss.item()) for name, loss in losses.items()},
            "user_ids": batch.user_ids.tolist(),
            "basket_ids": batch.basket_ids.tolist(),
        }
        path.write_text(json.dumps(kept))
        raise NonFiniteLossError(
            f"the loss at epoch {self.current_epoch}, step {self.global_step} must be finite, got {kept['losses']}; "
            f"the batch's user and basket ids are in {path}. Lower optimizer.learning_rate, or inspect these baskets."
        )


class _BrokenPass(L.Callback):
    """Cleanup after an error in a validation, for which Lightning calls no ``on_validation_end``."""

    def on_exception(self, trainer: L.Trainer, pl_module: RecommenderModule, exception: BaseException) -> None:
        pl_module.forget_pass()
