"""Evaluates a small model as one of several processes, as training does; run as a script, one per process."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from small_shop import Shop, open_shop
from torch import distributed

from seasonrec.batches.sharding import Shard
from seasonrec.commands.evaluate import evaluate_run
from seasonrec.config import compose
from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.ranking import evaluator
from seasonrec.models.backbone.sasrec import SASRec
from seasonrec.models.habit.replenishment import ReplenishmentHabit
from seasonrec.models.head.next_item import NextItemHead
from seasonrec.models.item_encoder.id import IdItems
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.models.season.momentum import MomentumSeason
from seasonrec.models.temporal.gru import GRUTemporal
from seasonrec.runs.opening import OpenData
from seasonrec.runs.run import Run

CHUNK = 9


def small_evaluation(shop: Shop, folder: Path) -> tuple[dict[str, Any], int]:
    """The record of a model with random weights, and how many requests this process scored itself."""
    torch.manual_seed(0)
    model = SeasonalRecommender(
        item_encoder=IdItems,
        backbone=partial(SASRec, num_layers=1),
        temporal=GRUTemporal,
        season={"momentum": MomentumSeason},
        habit=ReplenishmentHabit,
        head=NextItemHead,
        facts=shop.facts(),
    )
    scored: list[int] = []
    model.register_forward_hook(lambda model, arguments, scores: scored.append(len(scores)))
    data = OpenData(shop.log, shop.split, shop.spec, Protocol(), "0" * 16, shop.cache_dir)
    evaluator.SCORES_AT_ONCE = CHUNK * shop.log.num_items
    run = Run(compose(["name=small", "seed=3"]), folder, data, model=model, batches=shop.builder(model.contexts()))
    record = evaluate_run(run, folder)
    assert max(scored) <= CHUNK
    return record, int(np.sum(scored))


if __name__ == "__main__":
    cache_dir, meeting, output = (Path(argument) for argument in sys.argv[1:4])
    shard = Shard(int(sys.argv[4]), int(sys.argv[5]))
    torch.set_num_threads(1)
    address = f"file://{meeting.absolute()}"
    distributed.init_process_group("gloo", init_method=address, rank=shard.rank, world_size=shard.world_size)
    own_folder = output / f"process_{shard.rank}"
    record, scored = small_evaluation(open_shop(cache_dir), own_folder)
    (output / f"told_{shard.rank}.json").write_text(json.dumps({"record": record, "scored": scored}))
    distributed.destroy_process_group()
