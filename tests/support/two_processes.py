"""Evaluation of a small model by one of several processes, as in training; each process runs this script."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from small_model import small_model
from small_shop import Shop, open_shop
from torch import distributed

from seasonrec.batches.sharding import Shard
from seasonrec.commands.evaluate import evaluate_run
from seasonrec.config import compose
from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.ranking import evaluator
from seasonrec.models.temporal.gru import GRUTemporal
from seasonrec.runs.opening import OpenData
from seasonrec.runs.run import Run

CHUNK = 9


def small_evaluation(shop: Shop, folder: Path) -> tuple[dict[str, Any], int]:
    """Returns the record of a model with random weights, and the number of requests that this process scored."""
    model = small_model(shop, temporal=GRUTemporal)
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
