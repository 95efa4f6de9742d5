"""Evaluates models and baselines, and writes what every table is made from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from seasonrec.batches.loader import BatchBuilder, LoaderOptions
from seasonrec.batches.requests import Requests
from seasonrec.batches.sharding import WHOLE, Shard
from seasonrec.config import build
from seasonrec.evaluation.baselines import BASELINES, fit_baselines
from seasonrec.evaluation.ranking.evaluator import Scorer, evaluate
from seasonrec.evaluation.ranking.gathering import gather
from seasonrec.evaluation.ranking.scorers import ModelScorer
from seasonrec.evaluation.results.store import RunResults, write_results
from seasonrec.evaluation.slices.basket_tags import RequestLabels
from seasonrec.evaluation.tasks.evaluate import evaluate_tasks
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.runs.domains import domain_configs, folder_of
from seasonrec.runs.finished import open_data_of, read_config, trained_model
from seasonrec.runs.opening import OpenData, batch_builder, device_of, open_data
from seasonrec.runs.record import write_json

SHOWN = (("all", "ndcg@10"), ("all", "hr@10"), ("all", "bits"), ("in_season", "bits"), ("novel", "bits"))


def run(options: dict[str, Any]) -> None:
    """Evaluates a finished run again: ``seasonrec evaluate checkpoint=DIR``.

    Args:
        options: ``checkpoint``, and ``output`` or None for the run's own folder.
    """
    checkpoint = Path(options["checkpoint"])
    output = Path(options["output"] or checkpoint)
    config = read_config(checkpoint)
    _evaluate_again(checkpoint, config, output)
    for name, own in domain_configs(config).items():
        _evaluate_again(folder_of(checkpoint, name), own, folder_of(output, name), name)


def _evaluate_again(folder: Path, config: dict[str, Any], output: Path, domain: str = "") -> None:
    """Of the main domain or of a further one, whose folder in the run is laid out like that of a run."""
    data = open_data_of(folder, config)
    model = trained_model(folder, config, data)
    builder = batch_builder(model, data.log, data.spec, config["max_seq_len"], data.split)
    labels = labels_of(data)
    write_json(output / "metrics.json", evaluate_model(config, data, model, builder, output, labels))
    if config["baselines"]:
        evaluate_baselines(data, output / "baselines", labels)
    print_table(output, domain)


def run_baselines(config: dict[str, Any]) -> None:
    """Evaluates the baselines alone, into ``run_dir/baselines``."""
    folder = Path(config["run_dir"]) / "baselines"
    evaluate_baselines(open_data(config), folder)


def evaluate_model(
    config: dict[str, Any],
    data: OpenData,
    model: SeasonalRecommender,
    builder: BatchBuilder,
    folder: Path,
    labels: RequestLabels | None = None,
) -> dict[str, Any]:
    """Ranks the protocol's part of the log with a model, writes its results, and measures its further tasks.

    Where ``torch.distributed`` was started, every process must call it: each ranks its share, and the first writes.

    Args:
        config: The complete configuration of the run.
        data: Its data.
        model: The trained model.
        builder: Makes its batches, with the labels of its tasks.
        folder: Where the results go.
        labels: Its labelled baskets, where they are known already.

    Returns:
        The content of ``metrics.json``, which the caller writes when all else is done; the same in every process.
    """
    device, shard = device_of(config), Shard.current()
    labels = labels or labels_of(data)
    model.to(device)
    scorer = ModelScorer(config["name"], model, builder.only(model.contexts(with_tasks=False)))
    record = _evaluate(scorer, data, labels, config["seed"], folder, shard)
    if not model.task:
        return record
    requests = Requests.of_baskets(data.log, labels.baskets, data.protocol.horizon_s)
    batches: LoaderOptions = build(config["loader"])()
    tasks = evaluate_tasks(model, builder, requests, batches.evaluation_batch_size, device, shard)
    return {**record, "tasks": tasks}


def evaluate_baselines(data: OpenData, folder: Path, labels: RequestLabels | None = None) -> None:
    """Fits and evaluates every baseline, each into a folder of its own, laid out like that of a run.

    One process does all of it: counting costs little, and a run's other processes need not come here.

    Args:
        data: The data of a run.
        folder: Where the folders go.
        labels: The labelled baskets, where they are known already.
    """
    labels = labels or labels_of(data)
    for baseline in fit_baselines(data.log, data.spec, data.split, data.protocol):
        record = _evaluate(baseline, data, labels, 0, folder / baseline.name, WHOLE)
        write_json(folder / baseline.name / "metrics.json", {**record, "chosen": baseline.chosen})


def labels_of(data: OpenData) -> RequestLabels:
    """The labelled baskets that are ranked; the model and all baselines can share them."""
    return RequestLabels.of(data.log, data.split, data.protocol)


def _evaluate(
    scorer: Scorer, data: OpenData, labels: RequestLabels, seed: int, folder: Path, shard: Shard
) -> dict[str, Any]:
    share = evaluate(
        scorer, data.log, data.split, data.protocol, labels=labels, shard=shard, show_progress=shard.is_first
    )
    frame, part = gather(share, shard), data.protocol.part
    results = RunResults(scorer.name, seed, data.fingerprint, data.log.num_items, frame, part)
    if shard.is_first:
        write_results(folder / "results.parquet", results)
    return results.record(data.protocol.top_ks)


def print_table(run_dir: Path, domain: str = "") -> None:
    """Prints a run, or a further domain of it, beside its baselines."""
    folders = [*(run_dir / "baselines" / name for name in BASELINES), run_dir]
    metrics = [json.loads(path.read_text("utf-8")) for f in folders if (path := f / "metrics.json").exists()]
    title = f"{metrics[-1].get('part', 'test')}{domain and f' of domain {domain}'}"
    table = Table(title=f"{title}, fingerprint {metrics[-1]['fingerprint']}, one seed: no intervals")
    table.add_column("row")
    for slice_name, metric in SHOWN:
        table.add_column(f"{metric}\n{slice_name}", justify="right")
    for record in metrics:
        values = [record["slices"].get(slice_name, {}).get(metric) for slice_name, metric in SHOWN]
        table.add_row(record["name"], *("-" if value is None else f"{value:.4f}" for value in values))
    Console().print(table)
    for name, values in metrics[-1].get("tasks", {}).items():
        told = ", ".join(f"{metric} {value:.4g}" for metric, value in values.items())
        print(f"task {name}: {told}", flush=True)
    print(f"results in {run_dir}", flush=True)
