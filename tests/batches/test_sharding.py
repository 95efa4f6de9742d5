"""Epoch and validation of several processes: nothing twice, nothing lost, the same number of steps."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_shop import Shop

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.horizon import ROLLING
from seasonrec.batches.loader import LoaderOptions, TrainingLoader
from seasonrec.batches.requests import Requests
from seasonrec.batches.sampling import NegativeSampler
from seasonrec.batches.sharding import WHOLE, Shard
from seasonrec.batches.user_pools import Period
from seasonrec.batches.validation import ValidationBatches

OPTIONS = LoaderOptions(batch_size=16, evaluation_batch_size=5, validation_stride=2)
IN_POOLS = replace(OPTIONS, pool_size=100)


def loader_of(shop: Shop, options: LoaderOptions, shard: Shard) -> TrainingLoader:
    period = Period(shop.split.train_from_s, shop.split.validation_from_s)
    sampler = NegativeSampler.of(np.ones(10**6), 5, 0.0)
    return TrainingLoader(shop.builder({}), period, options, ROLLING, 3, sampler, shard)


def validation_of(shop: Shop, options: LoaderOptions, shard: Shard = WHOLE) -> ValidationBatches:
    period = Period(shop.split.validation_from_s, shop.split.test_from_s)
    return ValidationBatches(shop.builder({}), period, options, ROLLING, shard)


def shards(world_size: int) -> list[Shard]:
    return [Shard(rank, world_size) for rank in range(world_size)]


def what(batch: SequenceBatch) -> tuple[tuple[int, ...], ...]:
    """Returns what a batch trains on: its requests in their windows, and its draws."""
    assert batch.sample is not None
    drawn = batch.sample.item_ids[batch.sample.negative_columns]
    return tuple(tuple(part.tolist()) for part in (batch.basket_ids, batch.request_window, drawn))


@pytest.mark.parametrize("options", [OPTIONS, IN_POOLS])
@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
def test_ranks_share_an_epoch(shop: Shop, options: LoaderOptions, world_size: int) -> None:
    loaders = [loader_of(shop, options, shard) for shard in shards(world_size)]
    for _ in range(2):
        epochs = [list(loader) for loader in loaders]
        assert {len(epoch) for epoch in epochs} == {len(loaders[0])}
        met = [basket for epoch in epochs for batch in epoch for basket in batch.basket_ids.tolist()]
        assert sorted(met) == shop.split.train_baskets(shop.log).tolist()
        assert max(batch.num_requests for epoch in epochs for batch in epoch) <= options.batch_size
        draws = [what(batch)[2] for epoch in epochs for batch in epoch]
        assert len(set(draws)) == len(draws)


@pytest.mark.parametrize("options", [OPTIONS, IN_POOLS])
@pytest.mark.parametrize("world_size", [2, 4])
def test_any_number_of_ranks_reads_the_same_batches(shop: Shop, options: LoaderOptions, world_size: int) -> None:
    """Holds if the number of batches is a multiple of theirs; one process then reads them in turns."""
    alone = loader_of(shop, options, WHOLE)
    alone.lengths = loader_of(shop, options, Shard(0, world_size)).lengths
    epochs = [list(loader_of(shop, options, shard)) for shard in shards(world_size)]
    in_turns = [what(batch) for step in zip(*epochs, strict=True) for batch in step]
    assert [what(batch) for batch in alone] == in_turns


def test_a_rank_goes_on_where_it_was(shop: Shop) -> None:
    shard = Shard(1, 3)
    loader = loader_of(shop, IN_POOLS, shard)
    whole = [what(batch) for batch in loader]
    for position in range(len(loader)):
        restarted = loader_of(shop, IN_POOLS, shard)
        restarted.load_state_dict({"epoch": 0, "position": position})
        assert [what(batch) for batch in restarted] == whole[position:]


def test_more_processes_than_requests_are_refused(shop: Shop) -> None:
    count = len(shop.split.train_baskets(shop.log))
    with pytest.raises(ValueError, match=rf"{count + 1} processes cannot share {count} training requests .*devices"):
        loader_of(shop, OPTIONS, Shard(0, count + 1))
    chosen = len(shop.split.validation_baskets(shop.log)[::2])
    with pytest.raises(ValueError, match=rf"{chosen + 1} processes cannot share {chosen} validation requests; take"):
        validation_of(shop, OPTIONS, Shard(0, chosen + 1))


def test_batches_of_one_request_on_as_many_ranks_as_requests(shop: Shop) -> None:
    count = len(shop.split.train_baskets(shop.log))
    loader = loader_of(shop, replace(OPTIONS, batch_size=1), Shard(count - 1, count))
    assert [batch.num_requests for batch in loader] == [1]


@pytest.mark.parametrize("pool_size", [10**6, 40, 7])
@pytest.mark.parametrize("stride", [1, 3])
def test_validation_is_every_so_many_th_basket_in_batches(shop: Shop, pool_size: int, stride: int) -> None:
    options = replace(OPTIONS, pool_size=pool_size, validation_stride=stride)
    baskets = shop.split.validation_baskets(shop.log)[::stride]
    builder = shop.builder({})
    given = list(validation_of(shop, options))
    assert len(given) == len(validation_of(shop, options)) == -(-len(baskets) // 5)
    for number, batch in enumerate(given):
        expected = builder(Requests.of_baskets(shop.log, baskets[5 * number : 5 * number + 5]))
        assert torch.equal(batch.item_ids, expected.item_ids)
        assert torch.equal(batch.basket_ids, expected.basket_ids)
    assert len(validation_of(shop, options).pools) > 2 or pool_size == 10**6


@pytest.mark.parametrize("pool_size", [10**6, 40])
@pytest.mark.parametrize("world_size", [2, 3, 7])
def test_ranks_share_the_validation(shop: Shop, world_size: int, pool_size: int) -> None:
    options = replace(OPTIONS, pool_size=pool_size)
    parts = [validation_of(shop, options, shard) for shard in shards(world_size)]
    met = [basket for part in parts for batch in part for basket in batch.basket_ids.tolist()]
    assert met == shop.split.validation_baskets(shop.log)[::2].tolist()
    assert all(len(list(part)) == len(part) for part in parts)


def test_parts_follow_each_other() -> None:
    for count in (3, 10, 11):
        parts = [shard.slice_of(count) for shard in shards(3)]
        assert [n for part in parts for n in range(count)[part]] == list(range(count))
        sizes = [part.stop - part.start for part in parts]
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("rank", "world_size"), [(1, 1), (-1, 2), (0, 0)])
def test_a_rank_outside_its_world_is_refused(rank: int, world_size: int) -> None:
    with pytest.raises(ValueError, match=rf"rank must lie in 0\.\.world_size-1, got {rank} of {world_size}"):
        Shard(rank, world_size)


def test_without_processes_a_share_is_the_whole() -> None:
    assert Shard.current() == WHOLE
    assert WHOLE.slice_of(7) == slice(0, 7)
