"""Work of each of two processes in the tests of shared training: several small runs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from small_runs import OPTIONS, Curve, Event, Killed, SmallRun, small_model, small_run
from small_shop import Shop, open_shop

from seasonrec.batches.sharding import Shard
from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.ranking.evaluator import evaluate
from seasonrec.evaluation.ranking.gathering import gather
from seasonrec.evaluation.ranking.scorers import ModelScorer
from seasonrec.models.backbone.sasrec import SASRec
from seasonrec.models.head.next_item import NextItemHead
from seasonrec.training.checkpointing.checkpoints import best_weights
from seasonrec.training.checkpointing.weights import load_weights
from seasonrec.training.distributed.means import PassMeans
from seasonrec.training.fit import TrainerOptions

DDP = replace(OPTIONS, max_epochs=2, devices=2, strategy="ddp")
FSDP = replace(DDP, strategy="fsdp")
WITHOUT_DROPOUT: dict[str, Any] = {
    "backbone": partial(SASRec, num_layers=1, dropout=0.0),
    "head": partial(NextItemHead, dropout=0.0),
}
KILLED_AT: Event = ("batch_start", 1, 1)
VALUES = (torch.arange(7.0), torch.arange(4.0) * 3)
"""Values that each process averages, of different numbers."""


def train_and_evaluate(cache_dir: Path, folder: Path, shard: Shard) -> None:
    """Writes the results to ``folder / "rank_<r>.pt"``."""
    torch.set_num_threads(1)
    shop = open_shop(cache_dir)
    found: dict[str, Any] = {"shard": (shard.rank, shard.world_size), "mean": _mean(VALUES[shard.rank])}
    plain = small_run(shop, folder / "ddp", options=DDP, **WITHOUT_DROPOUT)
    found["ddp"] = _record(plain)
    found["fsdp"] = _record(small_run(shop, folder / "fsdp", options=FSDP, **WITHOUT_DROPOUT))
    for name, options in (("ddp", DDP), ("fsdp", FSDP)):
        found[f"{name} left alone"] = _record(small_run(shop, folder / f"{name}_alone", options=options))
        found[f"{name} killed"] = _record(_killed_and_started_again(shop, folder / f"{name}_killed", options))
    found["drawn"] = float(torch.rand(1))  # from the random state with which a run ends
    _evaluate(shop, folder, plain.result.best_epoch, shard)
    torch.save(found, folder / f"rank_{shard.rank}.pt")


def _mean(values: torch.Tensor) -> float:
    means = PassMeans()
    for part in values.split(3):
        means.add("value", part)
    return float(means.take()["value"])


def _killed_and_started_again(shop: Shop, run_dir: Path, options: TrainerOptions) -> SmallRun:
    curve = Curve()

    def stop(met: Event) -> None:
        if met == KILLED_AT:
            raise Killed

    try:
        small_run(shop, run_dir, stop, options, curve)
    except Killed:
        return small_run(shop, run_dir, options=options, curve=curve)
    raise AssertionError("was not interrupted")


def _record(run: SmallRun) -> dict[str, Any]:
    weights = {name: weight for name, weight in run.weights.items() if type(weight) is torch.Tensor}
    best = (run.result.best_epoch, run.result.epochs, run.result.best_value)
    kept = {key: run.last[key] for key in ("state_dict", "optimizer_states", "global_step")}
    return {"weights": weights, "curve": run.curve, "best": best, "kept": kept}


def _evaluate(shop: Shop, folder: Path, epoch: int, shard: Shard) -> None:
    model = small_model(shop, **WITHOUT_DROPOUT)
    load_weights(best_weights(folder / "ddp" / "checkpoints", epoch), model)
    frame = gather(evaluate(scorer_of(shop, model), shop.log, shop.split, Protocol(), chunk=9, shard=shard), shard)
    if shard.is_first:
        frame.write_parquet(folder / "results.parquet")


def scorer_of(shop: Shop, model: Any) -> ModelScorer:
    return ModelScorer("small", model, shop.builder(model.contexts()))
