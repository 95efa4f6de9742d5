"""Time of a training step and of an evaluation pass, compared with the limit of the machine.

Run:  python -m benchmarks.limit

The limit is the time of the necessary arithmetic (``benchmarks/needed_work.py``) at the rate of a large matrix product.
The product alternates with the work in the same process, with the same threads. The limit of a training step counts
only its matrix products. The limit of an evaluation pass also counts one write and one read of all scores, at the rate
of a large copy. The results are in ``benchmarks/results/limit.json``, one row per work: ``share_of_limit`` (median and
quartiles over the rounds) and the operators that take the most time.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.needed_work import (
    Sizes,
    evaluation_bytes,
    evaluation_flops,
    next_event_batch,
    training_bytes,
    training_flops,
)
from benchmarks.timing import RateProbe, in_turns, save
from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.loader import BatchBuilder, LoaderOptions, TrainingLoader
from seasonrec.batches.requests import Requests
from seasonrec.config import build
from seasonrec.config.compose import compose
from seasonrec.config.schema import RunConfig
from seasonrec.evaluation.ranking.evaluator import quick_metrics
from seasonrec.evaluation.ranking.scorers import ModelScorer, validation_metrics
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.runs.opening import OpenData, build_model, open_data
from seasonrec.training.module import RecommenderModule

LAYERS = 2
SEQUENCES = 128
"""Windows of a batch in which every event is a target."""
TOP_OPERATORS = 8


@dataclass(frozen=True)
class Work:
    """Work that is compared with its limit.

    Args:
        name: Name in the results.
        run: Function that does the work once.
        flops: Necessary operations.
        traffic: Necessary memory traffic besides the matrix products, in bytes.
        counts_traffic: Whether the limit includes the traffic.
        facts: Sizes, for the results.
    """

    name: str
    run: Callable[[], object]
    flops: int
    traffic: int
    counts_traffic: bool
    facts: dict[str, Any]


def main() -> None:
    """Measures each work and writes the rows."""
    options = _options()
    torch.set_num_threads(options.threads)
    rows = []
    for level in options.levels:
        for width in options.widths:
            for work in works(level, width, options.length, options.evaluated):
                rows.append(_measure(work, options.rounds))
    print(f"written to {save(options.output, rows)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--levels", nargs="+", default=["product_id", "product_type"], help="items of Complete Journey")
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--length", type=int, default=50)
    parser.add_argument("--evaluated", type=int, default=1024, help="requests of the evaluation pass")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", default="limit.json", help="file under benchmarks/results")
    return parser.parse_args()


def works(level: str, width: int, length: int, evaluated: int) -> Iterator[Work]:
    """Yields two training steps and an evaluation pass on Complete Journey.

    Args:
        level: Level of the items, ``product_id`` or ``product_type``.
        width: ``D``.
        length: Maximum number of events of a window.
        evaluated: Number of requests of the evaluation pass.
    """
    config, data, builder = plain_model(level, width, length)
    name = f"{level} ({data.log.num_items} items), width {width}"
    yield _training(f"train, {name}, a request a basket", config, data, _basket_batch(data, builder))
    yield _training(f"train, {name}, every event a target", config, data, _event_batch(data, builder))
    yield _evaluation(f"evaluate, {name}", config, data, builder, evaluated)


def basket_loader(data: OpenData, builder: BatchBuilder) -> TrainingLoader:
    """Returns the default loader, with one request per basket."""
    baskets = data.split.train_baskets(data.log)
    return TrainingLoader(builder, baskets, LoaderOptions(), data.horizon, seed=0)


def plain_model(level: str, width: int, length: int) -> tuple[dict[str, Any], OpenData, BatchBuilder]:
    """Returns the configuration, data and batch builder of SASRec without seasonal components on Complete Journey."""
    parts = ["item_encoder=id", "temporal=none", "season=[]", "habit=none", f"backbone.num_layers={LAYERS}"]
    config = compose([f"data.level={level}", f"embedding_dim={width}", f"max_seq_len={length}", *parts])
    data = open_data(config, progress=lambda line: None)
    return config, data, BatchBuilder(data.log, {}, length)


def _basket_batch(data: OpenData, builder: BatchBuilder) -> SequenceBatch:
    """Returns the batch of the default loader with the median number of events."""
    batches = sorted(basket_loader(data, builder), key=lambda batch: int((~batch.is_padding).sum()))
    return batches[len(batches) // 2]


def _event_batch(data: OpenData, builder: BatchBuilder) -> SequenceBatch:
    """Returns the last windows before the validation cut of some users, with every event as a target."""
    users = np.arange(data.log.num_users)[:: data.log.num_users // SEQUENCES][:SEQUENCES]
    times_s = np.full(len(users), data.split.validation_from_s)
    return next_event_batch(builder(Requests(users, times_s, times_s, np.full(len(users), -1))))


def training_step(config: RunConfig, data: OpenData) -> tuple[SeasonalRecommender, Callable[[SequenceBatch], None]]:
    """Returns a new model, and a function that trains it on a batch."""
    torch.manual_seed(0)
    model, facts = build_model(config, data)
    module = RecommenderModule(
        model, build(config.loss)(facts=facts), build(config.optimizer)(), validation_metrics, Path()
    )
    built = module.optimizer.build(model, total_steps=10_000, fused=True)
    optimizer, norm = built["optimizer"], float(config.trainer.get("gradient_clip_norm", 1.0))
    model.train()

    def step(batch: SequenceBatch) -> None:
        module.losses(batch).tasks["next_item"].backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), norm)
        optimizer.step()
        optimizer.zero_grad()

    return model, step


def _training(name: str, config: RunConfig, data: OpenData, batch: SequenceBatch) -> Work:
    model, step = training_step(config, data)
    sizes = _sizes(batch, data, config, model)
    return Work(name, partial(step, batch), training_flops(sizes), training_bytes(sizes), False, asdict(sizes))


def _evaluation(name: str, config: RunConfig, data: OpenData, builder: BatchBuilder, count: int) -> Work:
    torch.manual_seed(0)
    model, _ = build_model(config, data)
    scorer = ModelScorer("sasrec", model, builder)
    baskets = data.split.validation_baskets(data.log)
    baskets = baskets[:: max(1, len(baskets) // count)][:count]
    requests = Requests.of_baskets(data.log, baskets, data.horizon)
    sizes = _sizes(builder(requests), data, config, model)

    def run() -> None:
        quick_metrics(scorer, data.log, requests, data.protocol)

    return Work(name, run, evaluation_flops(sizes), evaluation_bytes(sizes), True, asdict(sizes))


def _sizes(batch: SequenceBatch, data: OpenData, config: RunConfig, model: SeasonalRecommender) -> Sizes:
    parameters = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    return Sizes.of(batch, data.log.num_items, config.embedding_dim, LAYERS, parameters)


def _measure(work: Work, rounds: int) -> dict[str, Any]:
    probe = RateProbe()
    seconds = in_turns({**probe.jobs(), "work": work.run}, rounds)
    rates = [probe.rates({name: [values[turn]] for name, values in seconds.items()}) for turn in range(rounds)]
    matmul_s = [work.flops / rate.flops for rate in rates]
    copy_s = [work.traffic / rate.bytes for rate in rates]
    needed_s = [a + b if work.counts_traffic else a for a, b in zip(matmul_s, copy_s, strict=True)]
    shares = [needed / taken for needed, taken in zip(needed_s, seconds["work"], strict=True)]
    low, share, high = statistics.quantiles(shares, n=4, method="inclusive")
    row = {
        "work": work.name,
        "share_of_limit": round(share, 3),
        "share_low": round(low, 3),
        "share_high": round(high, 3),
        "limit": "products and traffic" if work.counts_traffic else "products",
        "milliseconds": _median_ms(seconds["work"]),
        "needed_products_ms": _median_ms(matmul_s),
        "needed_traffic_ms": _median_ms(copy_s),
        "needed_gflop": round(work.flops / 1e9, 3),
        "needed_mib": round(work.traffic / 2**20, 2),
        "matmul_gflop_per_s": round(statistics.median(rate.flops for rate in rates) / 1e9, 1),
        "copy_gib_per_s": round(statistics.median(rate.bytes for rate in rates) / 2**30, 2),
        "sizes": work.facts,
        "time_by_operator": _profile(work.run),
    }
    print(f"{row['work']:72} {share:6.1%} of its limit, {row['milliseconds']:.1f} ms", flush=True)
    return row


def _median_ms(seconds: list[float]) -> float:
    return round(1000 * statistics.median(seconds), 3)


def _profile(run: Callable[[], object]) -> dict[str, float]:
    """Returns the share of the time of the slowest operators."""
    with profile(activities=[ProfilerActivity.CPU]) as record:
        run()
    found = sorted(record.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in found)
    return {event.key: round(event.self_cpu_time_total / total, 3) for event in found[:TOP_OPERATORS]}


if __name__ == "__main__":
    main()
