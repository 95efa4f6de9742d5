"""Trains one model and evaluates it: the contents page of a run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.loggers import Logger

from seasonrec.batches.audit import audit
from seasonrec.batches.facts import Facts
from seasonrec.batches.loader import BatchBuilder, LoaderOptions, TrainingLoader
from seasonrec.batches.mixing import DomainBatches, InTurn, MixedLoader
from seasonrec.batches.sharding import WHOLE, Shard
from seasonrec.batches.user_pools import Period
from seasonrec.batches.validation import ValidationBatches
from seasonrec.commands.evaluate import evaluate_baselines, evaluate_model, labels_of, print_table
from seasonrec.config import build
from seasonrec.evaluation.ranking.scorers import validation_metrics
from seasonrec.evaluation.slices.basket_tags import RequestLabels
from seasonrec.memory import forget_peak, highest, peak_memory
from seasonrec.models.context_use import check_contexts
from seasonrec.models.language.text_vectors import text_readers
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.runs.domains import OpenDomain, build_domains, open_domain_data
from seasonrec.runs.finished import refuse_another_run
from seasonrec.runs.opening import OpenData, batch_builder, build_model, open_data, with_absolute_paths
from seasonrec.runs.record import Stages, code_commit, environment, write_json, write_yaml
from seasonrec.training.checkpointing.checkpoints import load_best
from seasonrec.training.checkpointing.weights import save_weights
from seasonrec.training.distributed.processes import first_alone, only_first_speaks, run_everywhere, wait_for_all
from seasonrec.training.fit import FitResult, TrainerOptions, fit
from seasonrec.training.logger import RunIdentity, log_results
from seasonrec.training.loss.base import Loss
from seasonrec.training.module import MAIN, RecommenderModule, domain_prefix


def run(config: dict[str, Any]) -> None:
    """One run: data, audit, training, evaluation, record; in ``config["run_dir"]``.

    A run that was killed goes on from its last checkpoint when it is started again in the same folder. A run on several
    devices is several processes: each does the following on its share of the batches, and the first writes and speaks.

    Args:
        config: The complete configuration, as accepted by the preflight.
    """
    config = with_absolute_paths(config)
    options: TrainerOptions = build(config["trainer"])()
    options.check_machine()
    run_everywhere(partial(_run, config), options.devices, options.num_nodes, options.uses_gpu)


def _run(config: dict[str, Any], shard: Shard) -> None:
    with only_first_speaks(shard):
        run_dir = Path(config["run_dir"])
        options: TrainerOptions = build(config["trainer"])()
        options.take_threads()
        code_commit()  # asked now, while the files are those that were imported
        forget_peak()
        stages = Stages()
        with first_alone(shard):
            if shard.is_first:
                refuse_another_run(run_dir, config)
                write_yaml(run_dir / "config.yaml", config)
            with stages("prepare"):
                data = open_data(config)
                domain_data = open_domain_data(config)
            with stages("build"):
                L.seed_everything(config["seed"], verbose=False)
                model, facts = build_model(config, data, for_training=True)
                builder = batch_builder(model, data.log, data.spec, config["max_seq_len"], data.split)
                domains = build_domains(config, domain_data, model, for_training=True)
        with stages("audit"):
            _audit(data, model, facts, shard)
            for domain in domains:
                print(f"  domain {domain.name}:", flush=True)
                _audit(domain.data, domain.model, domain.facts, shard)
        logger = _logger(config, data, shard)
        with stages("train"):
            result = _train(config, data, model, facts, builder, domains, options, logger, shard)
            stages.add("train", result.earlier_s)
            if options.strategy == "fsdp":  # these models' weights lie in shares in all processes
                model, _ = build_model(config, data)
                domains = build_domains(config, domain_data, model)
                models = {MAIN: model, **{domain_prefix(domain.name): domain.model for domain in domains}}
                load_best(run_dir / "checkpoints", result.best_epoch, models)
        if shard.is_first:
            save_weights(run_dir / "model.safetensors", model)
        with stages("evaluate"):
            labels = labels_of(data)
            record = evaluate_model(config, data, model, builder, run_dir, labels)
        for domain in domains:
            with stages(f"domain {domain.name}"):
                _finish_domain(domain, model, run_dir, shard)
        if shard.is_first:
            _finish(config, data, model, facts, result, record, labels, stages, logger)
        wait_for_all(shard)


def _audit(data: OpenData, model: SeasonalRecommender, facts: Facts, shard: Shard) -> None:
    """Looks for leaks in the first process: the others would look at the same."""
    if shard.is_first:
        lines = audit(data.log, data.spec, data.split, facts, model.contexts(), data.protocol.horizon_s, model.labels())
        print("\n".join(f"  no leak found: {line}" for line in lines), flush=True)


def _logger(config: dict[str, Any], data: OpenData, shard: Shard) -> Logger | None:
    """The tracker, in the first process alone."""
    if not shard.is_first:
        return None
    identity = RunIdentity(config["name"], config["group"], Path(config["run_dir"]), config, data.fingerprint)
    return build(config["logger"])().open(identity)


def _train(
    config: dict[str, Any],
    data: OpenData,
    model: SeasonalRecommender,
    facts: Facts,
    builder: BatchBuilder,
    domains: list[OpenDomain],
    options: TrainerOptions,
    logger: Logger | None,
    shard: Shard,
) -> FitResult:
    loss, training, validation = batches_of(config, data, facts, builder, config["seed"], shard)
    if not loss.gives_probabilities and options.monitor == "bits":  # asked of every loss before it trains
        print("  note: the loss gives no probabilities; trainer.monitor=ndcg@10 picks the epoch by ranking", flush=True)
    others = {d.name: (d, *batches_of(d.config, d.data, d.facts, d.builder, d.seed, shard)) for d in domains}
    for domain, _, _, own_validation in others.values():
        check_contexts(domain.model, next(iter(own_validation)))
    run_dir = Path(config["run_dir"])
    further = {name: (domain.model, own) for name, (domain, own, _, _) in others.items()}
    module = module_of(config, model, loss, run_dir, further)
    if not others:
        return fit(module, training, validation, options, run_dir, logger)
    drawn = {name: DomainBatches(batches, domain.alpha) for name, (domain, _, batches, _) in others.items()}
    mixed = MixedLoader(training, drawn, config["seed"])
    in_turn = InTurn(validation, {name: batches for name, (_, _, _, batches) in others.items()})
    return fit(module, mixed, in_turn, options, run_dir, logger)


def module_of(
    config: dict[str, Any],
    model: SeasonalRecommender,
    loss: Loss,
    run_dir: Path,
    domains: Mapping[str, tuple[SeasonalRecommender, Loss]] | None = None,
) -> RecommenderModule:
    """The model with its loss, and the optimiser, objective, balancing and adversary that a configuration names."""
    return RecommenderModule(
        model,
        loss,
        build(config["optimizer"])(),
        validation_metrics,
        run_dir,
        objective=build(config["objective"])(),
        balancing=build(config["balancing"]),
        adversarial=build(config["adversarial"])(),
        domains=domains,
    )


def batches_of(
    config: dict[str, Any], data: OpenData, facts: Facts, builder: BatchBuilder, seed: int, shard: Shard = WHOLE
) -> tuple[Loss, TrainingLoader, ValidationBatches]:
    """The loss over one log, and its batches of training and validation."""
    options: LoaderOptions = build(config["loader"])()
    split, horizon_s = data.split, data.protocol.horizon_s
    loss: Loss = build(config["loss"])(facts=facts)
    past = Period(split.train_from_s, split.validation_from_s)
    augment = build(config["augmentation"])(facts=facts, log=data.log)
    training = TrainingLoader(builder, past, options, horizon_s, seed, loss.sampler, shard, augment)
    following = Period(split.validation_from_s, split.test_from_s)
    return loss, training, ValidationBatches(builder, following, options, horizon_s, shard)


def _finish_domain(domain: OpenDomain, main: SeasonalRecommender, run_dir: Path, shard: Shard) -> None:
    """Evaluates a further domain on its own part beside its own baselines, into a folder laid out like a run's."""
    folder = domain.folder(run_dir)
    if shard.is_first:
        save_weights(folder / "model.safetensors", domain.model)
    labels = labels_of(domain.data)
    record = evaluate_model(domain.config, domain.data, domain.model, domain.builder, folder, labels)
    if not shard.is_first:
        return
    if domain.config["baselines"]:
        evaluate_baselines(domain.data, folder / "baselines", labels)
    write_json(folder / "record.json", domain.record(main))
    write_json(folder / "metrics.json", record)
    print_table(folder, domain.name)


def _finish(
    config: dict[str, Any],
    data: OpenData,
    model: SeasonalRecommender,
    facts: Facts,
    result: FitResult,
    record: dict[str, Any],
    labels: RequestLabels,
    stages: Stages,
    logger: Logger | None,
) -> None:
    """What the first process does alone: the baselines, the tracker, the record, the table."""
    run_dir = Path(config["run_dir"])
    if config["baselines"]:
        with stages("baselines"):
            evaluate_baselines(data, run_dir / "baselines", labels)
    log_results(logger, record["slices"])
    _write_record(config, data, model, facts, result, stages, run_dir)
    write_json(run_dir / "metrics.json", record)  # last: its presence means that the run is complete
    print_table(run_dir)


def _write_record(
    config: dict[str, Any],
    data: OpenData,
    model: SeasonalRecommender,
    facts: Facts,
    result: FitResult,
    stages: Stages,
    run_dir: Path,
) -> None:
    parameters = list(model.parameters())
    loss: Any = build(config["loss"]).func
    record = {
        "name": config["name"],
        "group": config["group"],
        "seed": config["seed"],
        "fingerprint": data.fingerprint,
        "data_digest": data.log.digest,
        "data_report": data.log.report,
        "best_epoch": result.best_epoch + 1,
        "epochs": result.epochs,
        "monitored": result.best_value,
        "parameters": sum(p.numel() for p in parameters),
        "trained_parameters": sum(p.numel() for p in parameters if p.requires_grad),
        "peft": model.peft.record() if model.peft else {},
        "text_readers": text_readers(model),
        "text_changed_share": facts.text_changed_share,
        "checkpoint_bytes": (run_dir / "model.safetensors").stat().st_size,
        "step_ms": result.step_ms,
        "gives_probabilities": loss.gives_probabilities,
        "stages_s": stages.seconds,
        **highest(peak_memory(), result.earlier_peaks),
        **environment(),
        "config": config,
    }
    write_json(run_dir / "record.json", record)
