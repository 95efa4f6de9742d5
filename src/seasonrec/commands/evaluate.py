"""``seasonrec evaluate``: evaluates models and baselines, and writes the results that tables are made from."""

from __future__ import annotations

import time
from math import isnan, nan
from pathlib import Path
from typing import Any, cast

import numpy as np
from rich.table import Table

from seasonrec.batches.loader import LoaderOptions
from seasonrec.batches.requests import Requests
from seasonrec.batches.sharding import WHOLE, Shard
from seasonrec.config import build
from seasonrec.config.schema import EvaluateConfig, RunConfig
from seasonrec.digests import is_expected, read_json, seal
from seasonrec.disk import check_folder
from seasonrec.evaluation.baselines.counters import SETTINGS
from seasonrec.evaluation.baselines.fitting import UNTRAINED_ROWS, fit_baselines
from seasonrec.evaluation.groups.columns import partition_of
from seasonrec.evaluation.groups.partitions import Partitions
from seasonrec.evaluation.known_truth.divergence import divergence_table, write_divergence
from seasonrec.evaluation.known_truth.kinds import TRUTH_FILE
from seasonrec.evaluation.known_truth.oracle import Oracle
from seasonrec.evaluation.ranking.evaluator import Scorer, evaluate
from seasonrec.evaluation.ranking.gathering import gather
from seasonrec.evaluation.ranking.scorers import ModelScorer
from seasonrec.evaluation.results.store import ITEMS, RunResults, read_results, write_items, write_results
from seasonrec.evaluation.slices.basket_tags import BasketTags
from seasonrec.evaluation.statistics.significance import intervals
from seasonrec.evaluation.tasks.evaluate import evaluate_tasks
from seasonrec.models.demand.similarity import TextGroups, read_groups
from seasonrec.runs.domains import folder_of
from seasonrec.runs.finished import load_models, open_finished
from seasonrec.runs.opening import OpenData, device_of, open_data
from seasonrec.runs.record import write_json
from seasonrec.runs.run import Run
from seasonrec.terminal import PlainConsole

SHOWN = ("ndcg@10", "basket_recall@10", "basket_ndcg@10", "bits", "bits_within@hot")
"""Metrics over all targets that are printed."""


RESULT_FILES = ("results.parquet", ITEMS, TRUTH_FILE, "metrics.json")
"""Files of an evaluation."""

TEXT_READER = "minilm"
"""Language model of the baselines that count items with similar texts together."""


def run(options: EvaluateConfig) -> None:
    """Evaluates a finished run again: ``seasonrec evaluate checkpoint=DIR``."""
    checkpoint = Path(options.checkpoint)
    output = Path(options.output or checkpoint)
    check_folder(output, "output", RESULT_FILES)
    check_folder(output / "baselines", "output")
    finished = load_models(open_finished(checkpoint, options.allow))
    for one in finished.all:
        folder = folder_of(output, one.domain) if one.domain else output
        tags = tags_of(one.data)
        write_json(folder / "metrics.json", evaluate_run(one, folder, tags))
        seal(folder, [name for name in RESULT_FILES if (folder / name).is_file()])
        if one.config.baselines:
            evaluate_baselines(one.data, folder / "baselines", tags)
        print_table(folder, one.domain)


def run_baselines(config: RunConfig) -> None:
    """Evaluates the baselines alone, into ``run_dir/baselines``."""
    folder = Path(config.run_dir) / "baselines"
    check_folder(folder, "run_dir")
    evaluate_baselines(open_data(config), folder)


def evaluate_run(run: Run, folder: Path, tags: BasketTags | None = None) -> dict[str, Any]:
    """Ranks the protocol's part of the log with a run's model, writes the results, and measures its further tasks.

    With several processes, every process must call it: each ranks its share, and the first writes.

    Args:
        run: A run or a domain with its trained model.
        folder: Folder of the results.
        tags: The tagged baskets, where they are known already.

    Returns:
        The content of ``metrics.json``, which the caller writes last; the same in every process.
    """
    config, data, model = run.config, run.data, run.model
    device, shard = device_of(config), Shard.current()
    tags = tags or tags_of(data)
    model.to(device)
    scorer = ModelScorer(config.name, model, run.batches.only(model.contexts(with_tasks=False)))
    partitions = Partitions(data.log, data.split, data.protocol)
    record = _evaluate(scorer, data, tags, partitions, config.seed, folder, shard)
    if not model.task:
        return record
    requests = Requests.of_baskets(data.log, tags.baskets, data.horizon)
    batches: LoaderOptions = build(config.loader)()
    tasks = evaluate_tasks(model, run.batches, requests, batches.evaluation_batch_size, device, shard)
    return {**record, "tasks": tasks}


def evaluate_baselines(data: OpenData, folder: Path, tags: BasketTags | None = None) -> None:
    """Fits and evaluates every baseline in this process, each into its own folder with the layout of a run's.

    A generated log, whose truth is known, also has the oracle.

    Args:
        data: The data of a run.
        folder: Folder of their folders.
        tags: The tagged baskets, where they are known already.
    """
    tags, partitions = tags or tags_of(data), Partitions(data.log, data.split, data.protocol)
    begun_s = time.perf_counter()
    fitted = fit_baselines(data.log, data.spec, data.split, data.protocol, _groups(data))
    tuned = [baseline.name for baseline in fitted if baseline.chosen["tried"] == SETTINGS]
    took = f"baselines fitted on the validation part in {time.perf_counter() - begun_s:.0f} s"
    print(f"{took}; best of {SETTINGS} settings each: {', '.join(tuned)}; the others have no settings", flush=True)
    oracle = [] if data.truth is None else [Oracle(data.truth, data.log)]
    for baseline in (*fitted, *oracle):
        record = _evaluate(baseline, data, tags, partitions, 0, folder / baseline.name, WHOLE)
        write_json(folder / baseline.name / "metrics.json", {**record, "chosen": baseline.chosen})
        seal(folder / baseline.name, afresh=True)


def _groups(data: OpenData) -> TextGroups | None:
    """Returns the items with similar texts where the counters of last year can read them."""
    if not data.spec.has_text or data.spec.training_cycles < 1.0:
        return None
    texts = data.log.items["text"].fill_null(data.log.items["item_id"]).to_list()
    is_known = np.asarray(data.log.item_first_seen_s) < data.spec.train_until_s
    return read_groups(("cluster", "text"), TEXT_READER, texts, is_known, data.cache_dir)


def tags_of(data: OpenData) -> BasketTags:
    """Returns the tagged baskets that are ranked; the model and all baselines can share them."""
    return BasketTags.of(data.log, data.split, data.protocol)


def _evaluate(
    scorer: Scorer,
    data: OpenData,
    tags: BasketTags,
    partitions: Partitions,
    seed: int,
    folder: Path,
    shard: Shard,
) -> dict[str, Any]:
    protocol, progress = data.protocol, shard.is_first
    share = evaluate(
        scorer, data.log, data.split, protocol, tags=tags, partitions=partitions, shard=shard, show_progress=progress
    )
    frame, part = gather(share, shard), protocol.part
    results = RunResults(scorer.name, seed, data.fingerprint, data.log.num_items, frame, part)
    if shard.is_first:
        write_results(folder / "results.parquet", results)
        write_items(folder / ITEMS, data.log.items["item_id"])
        if data.truth is not None:
            requests = Requests.of_baskets(data.log, tags.baskets, data.horizon)
            write_divergence(folder, divergence_table(scorer, Oracle(data.truth, data.log), requests, protocol))
    return results.record(protocol.top_ks)


def print_table(run_dir: Path, domain: str = "") -> None:
    """Prints a run, or a further domain of it, beside its baselines; the run's row has intervals over users."""
    again = f"write it again with seasonrec evaluate checkpoint={run_dir}"
    metrics = [*metrics_of_baselines(run_dir), read_json(run_dir / "metrics.json", again)]
    results = read_results(run_dir / "results.parquet")
    found = intervals(results, SHOWN, ["all"])
    bounds: dict[str, tuple[float, float]] = {
        row["metric"]: (row["low"], row["high"]) for row in found.iter_rows(named=True)
    }
    part = metrics[-1].get("part", "test")
    days = results.frame["day"].sort().to_list()
    table = Table(
        title=f"{part}{domain and f' of domain {domain}'}, {days[0]} to {days[-1]}, "
        f"n={metrics[-1]['slices']['all']['n']:,}, fingerprint {metrics[-1]['fingerprint']}",
        caption="±: half of the 95% interval of one seed, its users resampled",
    )
    table.add_column("row", no_wrap=True)
    for metric in SHOWN:
        table.add_column(metric.replace("_", "\n", 1), justify="right")  # names of two words in two lines
    for record in metrics:
        values = [_value(record, metric) for metric in SHOWN]
        table.add_row(record["name"], *("-" if value is None else f"{value:.4f}" for value in values))
    halves = [(high - low) / 2 for low, high in (bounds.get(metric, (nan, nan)) for metric in SHOWN)]
    table.add_row("", *("-" if isnan(half) else f"±{half:.4f}" for half in halves))
    PlainConsole(width=110).print(table)
    for name, values in metrics[-1].get("tasks", {}).items():
        told = ", ".join(f"{metric} {value:.4g}" for metric, value in values.items())
        print(f"task {name}: {told}", flush=True)
    print(f"results in {run_dir}", flush=True)


def _value(record: dict[str, Any], metric: str) -> float | None:
    """Returns a metric over all targets from the content of ``metrics.json``."""
    kind, _, side = metric.rpartition("@")
    partition = partition_of(side)
    if partition is None:
        return cast(float | None, record["slices"]["all"].get(metric))
    sides = record.get("groups", {}).get(partition[0], {}).get("sides", {})
    return cast(float | None, sides.get(side, {}).get(kind))


def metrics_of_baselines(run_dir: Path) -> list[dict[str, Any]]:
    """Returns the metrics of the baselines that were evaluated beside a run."""
    paths = [run_dir / "baselines" / name / "metrics.json" for name in UNTRAINED_ROWS]
    again = f"write it again with seasonrec evaluate checkpoint={run_dir}"
    return [read_json(path, again) for path in paths if is_expected(path)]
