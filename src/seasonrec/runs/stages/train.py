"""The stage that trains on the training part."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seasonrec.batches.loader import LoaderOptions, TrainingLoader
from seasonrec.batches.mixing import DomainBatches, InTurn, MixedLoader
from seasonrec.batches.sharding import WHOLE, Shard
from seasonrec.batches.user_pools import Period
from seasonrec.batches.validation import ValidationBatches
from seasonrec.config import build
from seasonrec.evaluation.ranking.scorers import validation_metrics
from seasonrec.models.context_use import check_contexts
from seasonrec.runs.demand import fit_demands
from seasonrec.runs.mixing import fit_mixtures, require_fit
from seasonrec.runs.opening import OpenData
from seasonrec.runs.run import Run
from seasonrec.runs.stages.base import Place, load_stage
from seasonrec.training.fit import FitResult, fit
from seasonrec.training.loss.base import Loss, start_bias
from seasonrec.training.module import RecommenderModule


@dataclass(frozen=True)
class Train:
    """Training on the training part; the validation part chooses the epoch."""

    after: str = ""

    def known(self, data: OpenData) -> OpenData:
        return data

    def __call__(self, run: Run, place: Place) -> FitResult:
        result = fit_run(run, place)
        fit_mixtures(run)
        return result

    def restore(self, run: Run, place: Place, record: dict[str, Any]) -> None:
        load_stage(run, place, record["best_epoch"])
        fit_mixtures(run)


def fit_run(run: Run, place: Place, epochs: int | None = None) -> FitResult:
    """Trains a run and its domains together.

    Args:
        run: A built run; its models hold the best epoch's weights afterwards.
        place: Folder, trainer and tracker.
        epochs: Epochs to train without validation; None lets the validation part choose.
    """
    gathered = 1 if run.domains else place.trainer.accumulate_batches  # losses of other domains are no parts of one
    fit_demands(run)
    loss, training, validation = batches_of(run, place.shard, gathered)
    if epochs is None:
        require_fit(run, loss)
    if not loss.gives_probabilities and place.trainer.monitor == "bits":
        print("  note: the loss gives no probabilities; trainer.monitor=ndcg@10 picks the epoch by ranking", flush=True)
    others = {domain.domain: (domain, *batches_of(domain, place.shard)) for domain in run.domains}
    start_bias(run.model.head, loss)
    for domain, own_loss, _, _ in others.values():
        start_bias(domain.model.head, own_loss)
    module = module_of(run, loss, place.folder, {name: (one.model, own) for name, (one, own, _, _) in others.items()})
    for domain, _, _, own_validation in others.values():
        if own_validation is not None:
            check_contexts(domain.model, next(iter(own_validation)))
    batches: Any = training
    following: Any = validation
    if others:
        drawn = {name: DomainBatches(own, domain.alpha) for name, (domain, _, own, _) in others.items()}
        batches = MixedLoader(training, drawn, run.config.seed)
    if others and validation is not None:
        following = InTurn(validation, {name: own for name, (_, _, _, own) in others.items() if own is not None})
    result = fit(module, batches, following, place.trainer, place.folder, place.logger, epochs)
    if place.trainer.strategy == "fsdp":  # the processes hold shards of these models
        run.build()
        load_stage(run, place, result.best_epoch)
    return result


def module_of(
    run: Run, loss: Loss, folder: Path, domains: dict[str, tuple[Any, Loss]] | None = None
) -> RecommenderModule:
    """Returns the training module of a run's model, with the optimiser, objective and methods that the run names."""
    config = run.config
    return RecommenderModule(
        run.model,
        loss,
        build(config.optimizer)(),
        validation_metrics,
        folder,
        objective=build(config.objective)(),
        balancing=build(config.balancing),
        adversarial=build(config.adversarial)(),
        domains=domains,
    )


def batches_of(
    run: Run, shard: Shard = WHOLE, step_batches: int = 1
) -> tuple[Loss, TrainingLoader, ValidationBatches | None]:
    """Returns the loss over one log and its training and validation batches, or None without a validation part.

    Args:
        run: A built run or domain.
        shard: Share of this process.
        step_batches: Batches of each process in a step of the optimiser.
    """
    config, data = run.config, run.data
    options: LoaderOptions = build(config.loader)()
    split, horizon = data.split, data.horizon
    loss: Loss = build(config.loss)(facts=run.facts)
    past = Period(split.train_from_s, split.train_until_s)
    augment = build(config.augmentation)(facts=run.facts, log=data.log)
    training = TrainingLoader(run.batches, past, options, horizon, run.seed, loss.sampler, shard, augment, step_batches)
    if split.validation_from_s == split.test_from_s:
        return loss, training, None
    following = Period(split.validation_from_s, split.validation_until_s)
    return loss, training, ValidationBatches(run.batches, following, options, horizon, shard)
