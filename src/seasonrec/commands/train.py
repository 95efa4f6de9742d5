"""``seasonrec train``: all steps of a run in their order."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from seasonrec.batches.audit import audit
from seasonrec.batches.part_facts import part_facts
from seasonrec.batches.sharding import Shard
from seasonrec.commands.evaluate import evaluate_baselines, evaluate_run, metrics_of_baselines, print_table, tags_of
from seasonrec.commands.prepare import print_facts
from seasonrec.config import build
from seasonrec.config.machine import check_machine
from seasonrec.config.schema import RunConfig
from seasonrec.digests import seal
from seasonrec.evaluation.slices.basket_tags import BasketTags
from seasonrec.evaluation.slices.masks import OUTCOME_SLICES
from seasonrec.memory import forget_peak, highest, peak_memory
from seasonrec.models.language.text_vectors import text_readers
from seasonrec.report.rows import read_row
from seasonrec.report.selection import Selection
from seasonrec.report.write import write_weeks
from seasonrec.runs.audited import audited
from seasonrec.runs.finished import refuse_another_run
from seasonrec.runs.opening import OpenData, with_absolute_paths
from seasonrec.runs.record import StageClock, code_commit, environment, write_json, write_yaml
from seasonrec.runs.run import Run, cut_dates
from seasonrec.runs.stages.base import run_stages, stages_of
from seasonrec.training.checkpointing.weights import save_weights
from seasonrec.training.distributed.processes import first_alone, only_first_speaks, run_everywhere, wait_for_all
from seasonrec.training.fit import FitResult, TrainerOptions
from seasonrec.training.logger import RunIdentity, log_results
from seasonrec.training.loss.base import Loss


def run(config: RunConfig) -> float:
    """Prepares the data, checks for leaks, trains, evaluates, and writes the results to ``config.run_dir``.

    A killed run continues from its last checkpoint when it is started again in the same folder. A run on several
    devices has several processes: each works on its share of the batches, and the first one writes and prints.

    Args:
        config: The complete configuration, as checked by the preflight.

    Returns:
        The monitored metric on the validation part, for a sweeper.
    """
    config = with_absolute_paths(config)
    check_machine(config.as_dict())
    stages_of(config)  # refuses a wrong order before anything runs
    options: TrainerOptions = build(config.trainer)()
    options.check_machine()
    values: list[float] = []  # filled by the first process, which is this one
    run_everywhere(partial(_run, config, values), options.devices, options.num_nodes, options.uses_gpu)
    return values[0]


def _run(config: RunConfig, values: list[float], shard: Shard) -> None:
    with only_first_speaks(shard):
        trainer: TrainerOptions = build(config.trainer)()
        trainer.take_threads()
        code_commit()  # kept for the record: asked now, while the files are those that were imported
        forget_peak()
        clock = StageClock()
        with first_alone(shard):
            with clock("prepare"):
                run = _open(config, shard)
            with clock("build"):
                run.build(for_training=True)
        opened = run.data  # a later stage may take further statistics into run.data; baselines keep these
        with clock("audit"):
            _audit(run, shard)
        logger = _logger(run, shard)
        result = run_stages(run, trainer, clock, logger, shard)
        values.append(result.best_value)
        with clock("evaluate"):
            tags = tags_of(run.data)
            record = evaluate_run(run, run.folder, tags)
        for domain in run.domains:
            with clock(f"domain {domain.domain}"):
                _finish_domain(domain, run, shard)
        if shard.is_first:
            _finish(run, opened, result, record, tags, clock, logger)
        wait_for_all(shard)


def _open(config: RunConfig, shard: Shard) -> Run:
    """Opens the data; the first process also saves the configuration and refuses the folder of another run."""
    if shard.is_first:
        refuse_another_run(Path(config.run_dir), config)
        write_yaml(Path(config.run_dir) / "config.yaml", config.as_dict())
        seal(Path(config.run_dir), _begun_files(Path(config.run_dir)), afresh=True)
    run = Run.open(config)
    if shard.is_first:
        for one in run.all:
            print_facts(one.data, one.domain)
    return run


def _begun_files(run_dir: Path) -> list[str]:
    """Returns the files that stand in a run's folder before its training; what an earlier one left has no entry."""
    return [name for name in ("config.yaml", "cell.json") if (run_dir / name).is_file()]


def _audit(run: Run, shard: Shard) -> None:
    """Checks for leaks in the first process alone, because all processes have the same data."""
    if not shard.is_first:
        return
    for domain, one in audited(run):
        lines = audit(one)
        if domain:
            print(f"  domain {domain}:", flush=True)
        print("\n".join(f"  no leak found: {line}" for line in lines), flush=True)


def _logger(run: Run, shard: Shard) -> Logger | None:
    """Opens the tracker in the first process."""
    if not shard.is_first:
        return None
    config = run.config
    identity = RunIdentity(
        config.name, config.group, run.folder, config.as_dict(), run.data.fingerprint, cut_dates(run.data)
    )
    return build(config.logger)().open(identity)


def _finish_domain(domain: Run, main: Run, shard: Shard) -> None:
    """Evaluates a further domain and its baselines; its folder has the layout of a run's."""
    if shard.is_first:
        save_weights(domain.folder / "model.safetensors", domain.model)
    tags = tags_of(domain.data)
    record = evaluate_run(domain, domain.folder, tags)
    if not shard.is_first:
        return
    if domain.config.baselines:
        evaluate_baselines(domain.data, domain.folder / "baselines", tags)
    write_json(domain.folder / "record.json", domain.domain_record(main))
    write_json(domain.folder / "metrics.json", record)
    seal(domain.folder, afresh=True)
    print_table(domain.folder, domain.domain)


def _finish(
    run: Run,
    opened: OpenData,
    result: FitResult,
    record: dict[str, Any],
    tags: BasketTags,
    clock: StageClock,
    logger: Logger | None,
) -> None:
    """Saves the weights and the record, evaluates the baselines, logs and prints the results; first process only."""
    save_weights(run.folder / "model.safetensors", run.model)
    if run.config.baselines:
        with clock("baselines"):
            evaluate_baselines(opened, run.folder / "baselines", tags)
    seal(run.folder, ["results.parquet"])  # the tracker's figures read them
    beside = {one["name"]: one["slices"]["all"] for one in metrics_of_baselines(run.folder)}
    slices = {name: values for name, values in record["slices"].items() if name not in OUTCOME_SLICES}
    log_results(logger, slices, beside, _figures(run) if logger and run.config.baselines else [])
    write_json(run.folder / "record.json", _record(run, result, clock))
    write_json(run.folder / "metrics.json", record)
    seal(run.folder, afresh=True)  # last: the entry of metrics.json means that the run is complete
    print_table(run.folder)


def _figures(run: Run) -> list[Path]:
    """Draws the run's metric by week beside the strongest habit baseline, for the tracker."""
    name, baseline = run.config.name, Selection.baseline_reference
    metric = run.config.trainer["monitor"]
    selection = Selection(name=name, question="", slices=("all",), metrics=(metric,), reference=name)
    rows = [
        read_row(name, is_baseline=False, folders=[run.folder]),
        read_row(baseline, is_baseline=True, folders=[run.folder / "baselines" / baseline]),
    ]
    return [path for path in write_weeks(run.folder, rows, selection) if path.suffix == ".png"]


def _record(run: Run, result: FitResult, clock: StageClock) -> dict[str, Any]:
    config, model, parameters = run.config, run.model, list(run.model.parameters())
    loss: Loss = build(config.loss)(facts=run.facts)
    return {
        "name": config.name,
        "group": config.group,
        "seed": config.seed,
        "fingerprint": run.data.fingerprint,
        "data_digest": run.data.log.digest,
        "data_report": run.data.log.report,
        "cut_dates": cut_dates(run.data),
        **asdict(part_facts(run.data.log, run.data.split)),
        "stages": list(stages_of(config)),
        "best_epoch": result.best_epoch + 1,
        "epochs": result.epochs,
        "monitored": result.best_value,
        "parameters": sum(p.numel() for p in parameters),
        "trained_parameters": sum(p.numel() for p in parameters if p.requires_grad),
        "peft": model.peft.record() if model.peft else {},
        "text_readers": text_readers(model),
        "text_changed_share": run.facts.text_changed_share,
        "checkpoint_bytes": (run.folder / "model.safetensors").stat().st_size,
        "step_ms": result.step_ms,
        "gives_probabilities": loss.gives_probabilities,
        "stages_s": clock.seconds,
        **highest(peak_memory(), result.earlier_peaks),
        **environment(),
        "config": config.as_dict(),
    }
