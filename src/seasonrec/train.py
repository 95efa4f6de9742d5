"""Trains one model and evaluates it: the contents page of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning as L
import torch

from seasonrec.config import build
from seasonrec.data.audit import audit
from seasonrec.data.batch import SequenceBatch
from seasonrec.data.loader import BatchBuilder, LoaderOptions, TrainingLoader, evaluation_batches
from seasonrec.data.requests import Requests
from seasonrec.evaluate import evaluate_baselines, evaluate_model, print_table
from seasonrec.evaluation.scorers import validation_metrics
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.pipeline import OpenData, batch_builder, build_model, open_data, with_absolute_paths
from seasonrec.record import Stages, environment, peak_memory_mib, write_json, write_yaml
from seasonrec.runs import refuse_another_run
from seasonrec.training.fit import FitResult, TrainerOptions, fit
from seasonrec.training.loggers import RunIdentity, log_results
from seasonrec.training.module import RecommenderModule
from seasonrec.training.weights import save_weights


def run(config: dict[str, Any]) -> None:
    """One run: data, audit, training, evaluation, record; in ``config["run_dir"]``.

    A run that was killed goes on from its last checkpoint when it is started again in the same folder.

    Args:
        config: The complete configuration, as accepted by the preflight.
    """
    config = with_absolute_paths(config)
    run_dir = Path(config["run_dir"])
    options: TrainerOptions = build(config["trainer"])()
    if options.num_threads is not None:
        torch.set_num_threads(options.num_threads)
    refuse_another_run(run_dir, config)
    write_yaml(run_dir / "config.yaml", config)
    stages = Stages()
    with stages("prepare"):
        data = open_data(config)
    with stages("build"):
        L.seed_everything(config["seed"], verbose=False)
        model, facts = build_model(config, data)
        builder = batch_builder(model, data.log, data.spec, config["max_seq_len"])
    with stages("audit"):
        lines = audit(data.log, data.spec, data.split, facts, model.contexts(), data.protocol.horizon_s)
        print("\n".join(f"  no leak found: {line}" for line in lines), flush=True)
    logger = build(config["logger"])().open(
        RunIdentity(config["name"], config["group"], run_dir, config, data.fingerprint)
    )
    with stages("train"):
        result = _train(config, data, model, builder, options, logger)
    save_weights(run_dir / "model.safetensors", model)
    with stages("evaluate"):
        record = evaluate_model(config, data, model, builder, run_dir)
    if config["baselines"]:
        with stages("baselines"):
            evaluate_baselines(data, run_dir / "baselines")
    log_results(logger, record["slices"])
    _write_record(config, data, model, result, stages, run_dir)
    write_json(run_dir / "metrics.json", record)  # last: its presence means that the run is complete
    print_table(run_dir)


def _train(
    config: dict[str, Any],
    data: OpenData,
    model: SeasonalRecommender,
    builder: BatchBuilder,
    options: TrainerOptions,
    logger: Any,
) -> FitResult:
    loader_options: LoaderOptions = build(config["loader"])()
    horizon_s = data.protocol.horizon_s
    training = TrainingLoader(builder, data.split.train_baskets(data.log), loader_options, horizon_s, config["seed"])
    validation = ValidationBatches(builder, data, loader_options)
    run_dir = Path(config["run_dir"])
    module = RecommenderModule(model, build(config["optimizer"])(), validation_metrics, run_dir)
    return fit(module, training, validation, options, run_dir, logger)


class ValidationBatches:
    """Every ``validation_stride``-th basket of the validation part, in its own order, each with a full window."""

    def __init__(self, builder: BatchBuilder, data: OpenData, options: LoaderOptions) -> None:
        self.builder = builder
        self.batch_size = options.evaluation_batch_size
        baskets = data.split.validation_baskets(data.log)[:: options.validation_stride]
        self.requests = Requests.of_baskets(data.log, baskets, data.protocol.horizon_s)

    def __len__(self) -> int:
        return -(-len(self.requests) // self.batch_size)

    def __iter__(self) -> Iterator[SequenceBatch]:
        return (batch for _, batch in evaluation_batches(self.builder, self.requests, self.batch_size))


def _write_record(
    config: dict[str, Any],
    data: OpenData,
    model: SeasonalRecommender,
    result: FitResult,
    stages: Stages,
    run_dir: Path,
) -> None:
    parameters = list(model.parameters())
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
        "stages_s": stages.seconds,
        "peak_memory_mib": peak_memory_mib(),
        **environment(),
        "config": config,
    }
    write_json(run_dir / "record.json", record)
