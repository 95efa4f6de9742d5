"""Plans pool by pool: the reference plan if one pool is enough, and memory that does not grow."""

import tracemalloc
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from frozen_plan import frozen_epoch
from small_shop import MAX_SEQ_LEN, Shop

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.horizon import ROLLING, Horizon
from seasonrec.batches.loader import LoaderOptions, TrainingLoader
from seasonrec.batches.sampling import NegativeSampler
from seasonrec.batches.user_pools import GivenBaskets, Period, cut_pools
from seasonrec.data.log import EventLog

DAY = 86_400
OPTIONS = LoaderOptions(batch_size=33)
IN_POOLS = replace(OPTIONS, pool_size=150)


def training_period(shop: Shop) -> Period:
    return Period(shop.split.train_from_s, shop.split.validation_from_s)


def loader_of(
    shop: Shop, options: LoaderOptions = OPTIONS, horizon_s: int = 0, sampler: NegativeSampler | None = None
) -> TrainingLoader:
    return TrainingLoader(shop.builder({}), training_period(shop), options, Horizon(horizon_s), 5, sampler)


def tensors(batch: SequenceBatch) -> list[torch.Tensor]:
    drawn = [] if batch.sample is None else [batch.sample.item_ids, batch.sample.negative_columns]
    return [batch.item_ids, batch.timestamps_s, batch.request_window, batch.request_position, batch.basket_ids, *drawn]


def assert_same(some: list[SequenceBatch], others: list[SequenceBatch]) -> None:
    assert len(some) == len(others)
    for one, other in zip(some, others, strict=True):
        assert all(torch.equal(left, right) for left, right in zip(tensors(one), tensors(other), strict=True))


@pytest.mark.parametrize("horizon_s", [0, 9 * DAY])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(("batch_size", "share"), [(1, 0.25), (33, 0.25), (33, 1.0), (256, 0.6), (10**6, 0.25)])
def test_one_pool_is_the_first_plan_to_the_bit(
    shop: Shop, batch_size: int, share: float, shuffle: bool, horizon_s: int
) -> None:
    options = LoaderOptions(batch_size=batch_size, min_context_share=share, shuffle=shuffle)
    loader = loader_of(shop, options, horizon_s)
    baskets = shop.split.train_baskets(shop.log)
    for epoch in range(2):
        frozen = frozen_epoch(shop.log, baskets, batch_size, MAX_SEQ_LEN, share, shuffle, horizon_s, (5, epoch))
        given = list(loader)
        assert len(given) == len(frozen) == len(loader)
        for batch, (rows, window, ends, starts) in zip(given, frozen, strict=True):
            assert batch.basket_ids.tolist() == rows.tolist()
            assert batch.request_window.tolist() == window.tolist()
            newest = np.zeros(int(window.max()) + 1, dtype=np.int64)
            np.maximum.at(newest, window, ends)
            assert (batch.item_ids != shop.log.num_items).sum(1).tolist() == (newest - starts).tolist()
            assert batch.request_position.tolist() == (ends - starts[window]).tolist()


def test_a_time_is_the_list_of_its_baskets(shop: Shop) -> None:
    listed = TrainingLoader(shop.builder({}), shop.split.train_baskets(shop.log), IN_POOLS, ROLLING, 5)
    assert_same(list(loader_of(shop, IN_POOLS)), list(listed))


def test_pools_hold_every_user_once_and_about_as_many_requests(shop: Shop) -> None:
    baskets = shop.split.train_baskets(shop.log)
    per_user = np.bincount(shop.log.basket_users[baskets], minlength=shop.log.num_users)
    pools = cut_pools(shop.log, training_period(shop), 150)
    assert len(pools) == -(-len(baskets) // 150) > 2
    assert [pool.users[0] for pool in pools] == [0, *(pool.users[1] for pool in pools[:-1])]
    assert pools[-1].users[1] == shop.log.num_users
    for pool in pools:
        assert pool.num_requests == per_user[slice(*pool.users)].sum()
        assert 150 / 4 <= pool.num_requests <= 1.5 * 150 + per_user.max()


def test_a_user_with_more_than_a_pool_is_not_cut(shop: Shop) -> None:
    baskets = shop.split.train_baskets(shop.log)
    for source in (training_period(shop), GivenBaskets(baskets)):
        pools = cut_pools(shop.log, source, 1)
        assert len(pools) == len(np.unique(shop.log.basket_users[baskets]))
        assert sum(pool.num_requests for pool in pools) == len(baskets)


def test_every_request_once_an_epoch_in_pools_of_users(shop: Shop) -> None:
    loader = loader_of(shop, IN_POOLS)
    assert len(loader.pools) > 2
    orders = []
    for _ in range(2):
        batches = list(loader)
        assert len(batches) == len(loader)
        met = [basket for batch in batches for basket in batch.basket_ids.tolist()]
        assert sorted(met) == shop.split.train_baskets(shop.log).tolist()
        home = [_pool_of(loader, batch) for batch in batches]
        changes = sum(one != other for one, other in pairwise(home))
        assert changes == len(loader.pools) - 1, "one pool is read to its end before the next"
        orders.append(list(dict.fromkeys(home)))
    assert orders[0] != orders[1]


def _pool_of(loader: TrainingLoader, batch: SequenceBatch) -> int:
    homes = {
        next(n for n, pool in enumerate(loader.pools) if pool.users[0] <= user < pool.users[1])
        for user in batch.user_ids.tolist()
    }
    assert len(homes) == 1
    return homes.pop()


@pytest.mark.parametrize("options", [OPTIONS, IN_POOLS])
def test_rest_of_an_epoch_and_its_draws_after_a_restart(shop: Shop, options: LoaderOptions) -> None:
    sampler = NegativeSampler.of(np.ones(shop.log.num_items), 6, 0.0)
    loader = loader_of(shop, options, sampler=sampler)
    whole = [list(loader), list(loader)]
    for position in range(len(loader)):
        restarted = loader_of(shop, options, sampler=sampler)
        restarted.load_state_dict({"epoch": 0, "position": position})
        assert_same(list(restarted), whole[0][position:])
    assert_same(list(restarted), whole[1])


def test_every_batch_has_draws_of_its_own(shop: Shop) -> None:
    sampler = NegativeSampler.of(np.ones(10**6), 5, 0.0)
    loader = loader_of(shop, IN_POOLS, sampler=sampler)
    drawn = []
    for _ in range(2):
        for batch in loader:
            assert batch.sample is not None
            drawn.append(tuple(batch.sample.item_ids[batch.sample.negative_columns].tolist()))
            assert batch.sample.item_ids[batch.sample.target_column].tolist() == batch.target_items.tolist()
    assert len(set(drawn)) == len(drawn) == 2 * len(loader)


@pytest.mark.parametrize("options", [OPTIONS, IN_POOLS])
def test_no_batch_draws_from_the_source_of_an_order(shop: Shop, options: LoaderOptions) -> None:
    """numpy ignores zeros at the end of a seed, so that the first batch could get the source of the epoch."""
    sampler = NegativeSampler.of(np.ones(10**6), 5, 0.0)
    loader = loader_of(shop, options, sampler=sampler)
    orders = [(5, 0), (5, 0, 0, 0, 1), *((5, 0, 0, pool) for pool in range(len(loader.pools)))]
    for batch in loader:
        assert batch.sample is not None
        for seed in orders:
            other = sampler.draw(batch.target_items.numpy(), np.random.default_rng(seed))
            assert not torch.equal(other.item_ids, batch.sample.item_ids)


def test_contexts_are_told_the_scored_items(shop: Shop) -> None:
    sampler = NegativeSampler.of(np.ones(shop.log.num_items), 6, 0.0)
    met: list[tuple[int, ...]] = []

    def spy(requests: object, *items: np.ndarray) -> int:
        met.append(tuple(items[0].tolist()) if items else ())
        return 0

    builder = shop.builder({})
    builder.contexts = {"spy": spy}
    batch = builder(shop.some_requests(3), sampler=sampler, random=np.random.default_rng(0))
    assert batch.sample is not None
    assert met == [tuple(batch.sample.item_ids.tolist())]
    assert builder(shop.some_requests(3)).sample is None
    assert met[1] == ()
    with pytest.raises(
        ValueError, match=r"a batch with a sampler needs a source of random draws, got None; pass random="
    ):
        builder(shop.some_requests(3), sampler=sampler)


def test_baskets_that_do_not_rise_are_refused(shop: Shop) -> None:
    with pytest.raises(ValueError, match=r"baskets must be rising numbers without repetition; sort them"):
        TrainingLoader(shop.builder({}), np.asarray([3, 3]), OPTIONS, ROLLING, 5)


@pytest.mark.parametrize("name", ["batch_size", "evaluation_batch_size", "validation_stride", "pool_size"])
def test_loader_options_out_of_range(name: str) -> None:
    with pytest.raises(ValueError, match=rf"loader\.{name} must be at least 1, got 0"):
        LoaderOptions(**{name: 0})


def test_memory_follows_the_pool_and_not_the_log(shop: Shop) -> None:
    """Ten times the users in ten times the pools need arrays of the same size."""
    small, large = (_peak(shop, _many_users(shop.log, count)) for count in (2_000, 20_000))
    assert large < 1.3 * small
    whole = _peak(shop, _many_users(shop.log, 20_000), pool_size=10**7)
    assert whole > 4 * large, "the measurement sees what one pool for all would take"


def _many_users(log: EventLog, users: int) -> EventLog:
    """Returns a log of one event per basket and 30 per user; its arrays exist before the measurement."""
    count = 30 * users
    ends = np.arange(count + 1, dtype=np.int64)
    return replace(
        log,
        event_items=np.zeros(count, dtype=np.int32),
        event_times_s=np.tile(np.arange(30, dtype=np.int64), users),
        user_offsets=ends[::30],
        user_baskets=ends[::30],
        basket_offsets=ends,
        basket_users=np.repeat(np.arange(users, dtype=np.int32), 30),
        basket_times_s=np.tile(np.arange(30, dtype=np.int64), users),
    )


def _peak(shop: Shop, log: EventLog, pool_size: int = 30_000) -> int:
    builder = replace(shop, log=log).builder({})
    options = LoaderOptions(batch_size=5_000, pool_size=pool_size)
    tracemalloc.start()
    for _ in TrainingLoader(builder, Period(0, 25), options, ROLLING, 5):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak
