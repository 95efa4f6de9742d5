"""Adversarial training in two real processes, against a plain loop in one process."""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import Any

import lightning as L
import pytest
import torch
from adversarial_by_hand import METHODS, WITHOUT_DROPOUT, train_by_hand
from adversarial_runs import CLASSES, GATHERED, TARGETS, train_in_two
from small_runs import LOADER, small_loader, small_model
from small_shop import Shop

from seasonrec.batches.horizon import ROLLING
from seasonrec.batches.loader import TrainingLoader
from seasonrec.batches.sharding import Shard
from seasonrec.training.distributed.processes import run_everywhere

Ranks = list[dict[str, Any]]


@pytest.fixture(scope="module")
def ranks(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Ranks:
    folder = tmp_path_factory.mktemp("two")
    threads = torch.get_num_threads()
    run_everywhere(partial(train_in_two, shop.cache_dir, folder), devices=2, num_nodes=1, on_gpu=False)
    torch.set_num_threads(threads)
    return [torch.load(folder / f"rank_{rank}.pt", weights_only=True) for rank in range(2)]


def batches_in_turns(shop: Shop) -> list[Any]:
    """Returns the batches of both ranks in turns."""
    builder = small_loader(shop, small_model(shop, **WITHOUT_DROPOUT)).builder
    baskets = shop.split.train_baskets(shop.log)
    loaders = [TrainingLoader(builder, baskets, LOADER, ROLLING, 7, shard=Shard(rank, 2)) for rank in range(2)]
    return list(chain.from_iterable(zip(*loaders, strict=True)))


@pytest.mark.parametrize("name", CLASSES)
def test_ranks_stay_equal_and_train_what_a_plain_loop_does(shop: Shop, ranks: Ranks, name: str) -> None:
    for one, other in zip(ranks[0][name], ranks[1][name], strict=True):
        assert torch.equal(one, other)
    gathered, clip = (GATHERED, 0.05) if name in ("fgm", "freelb") else (1, None)
    batches = batches_in_turns(shop)
    steps = [batches[start : start + 2 * gathered] for start in range(0, len(batches), 2 * gathered)]
    L.seed_everything(7, verbose=False)
    expected = train_by_hand(
        shop, METHODS[name], TARGETS[name], steps, len(steps), clip=clip, ranks=2, **WITHOUT_DROPOUT
    )
    for weight, one in zip(ranks[0][name], expected, strict=True):
        torch.testing.assert_close(weight, one, rtol=0, atol=1e-5)


def test_a_pass_that_leaves_a_task_out_keeps_ranks_equal(ranks: Ranks) -> None:
    one, other = (found["a task that predicts nothing"] for found in ranks)
    assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))


def test_weights_in_shares_are_refused(ranks: Ranks) -> None:
    for found in ranks:
        assert "got trainer.strategy=fsdp; choose trainer.strategy=ddp, or adversarial=none" in found["fsdp"]
