"""Batches of several domains: frequency, order, processes, and resumption after a kill."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from small_shop import Shop

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.horizon import ROLLING
from seasonrec.batches.loader import LoaderOptions, TrainingLoader
from seasonrec.batches.mixing import DomainBatches, InTurn, MixedLoader, of_domain
from seasonrec.batches.sharding import WHOLE, Shard

OPTIONS = LoaderOptions(batch_size=60)
ALPHA = 0.5


def loader(shop: Shop, every: int, seed: int = 3, shard: Shard = WHOLE) -> TrainingLoader:
    """Returns a loader of every n-th training basket, like a separate log."""
    baskets = shop.split.train_baskets(shop.log)[::every]
    return TrainingLoader(shop.builder({}), baskets, OPTIONS, ROLLING, seed, shard=shard)


def mixed(shop: Shop, shard: Shard = WHOLE, alpha: float = ALPHA) -> MixedLoader:
    others = {"small": (5, 8), "tiny": (11, 9)}
    domains = {name: DomainBatches(loader(shop, every, seed, shard), alpha) for name, (every, seed) in others.items()}
    return MixedLoader(loader(shop, 1, shard=shard), domains, seed=3)


def assert_equal(one: SequenceBatch, other: SequenceBatch) -> None:
    assert one.domain == other.domain
    for name in ("item_ids", "timestamps_s", "request_window", "request_position", "basket_ids", "target_items"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name


def forever(batches: TrainingLoader) -> Iterator[SequenceBatch]:
    while True:
        yield from batches


@pytest.mark.parametrize(("alpha", "share"), [(0.0, 1.0), (0.5, 5**-0.5), (1.0, 1 / 5)])
def test_batches_come_in_proportion_to_a_power_of_the_requests(shop: Shop, alpha: float, share: float) -> None:
    """A fifth of the requests gives the same number of batches, 0.447 of it, or a fifth of it."""
    both = mixed(shop, alpha=alpha)
    assert both.main.num_requests == len(shop.split.train_baskets(shop.log))
    met = [batch.domain for batch in both]
    assert len(met) == len(both)
    assert met.count(None) == len(both.main) > 8
    assert abs(met.count("small") - share * len(both.main)) <= 0.55
    assert met.count("tiny") >= 1


def test_a_domain_of_few_requests_still_comes(shop: Shop) -> None:
    few = DomainBatches(loader(shop, 400), 1.0)
    assert MixedLoader(loader(shop, 1), {"few": few}, seed=0).counts == {"few": 1}


def test_each_domain_is_read_as_if_it_were_alone(shop: Shop) -> None:
    """The main loader gives one epoch per epoch; the others continue."""
    both = mixed(shop)
    alone = {None: forever(loader(shop, 1)), "small": forever(loader(shop, 5, 8)), "tiny": forever(loader(shop, 11, 9))}
    for epoch in range(3):
        assert both.main.epoch == max(0, epoch - 1), "an epoch begins when it is asked for"
        for batch in both:
            assert_equal(replace(batch, domain=None), next(alone[batch.domain]))
        assert both.main.position == len(both.main)


def test_domains_are_shuffled_anew_in_every_epoch(shop: Shop) -> None:
    first, again = mixed(shop), mixed(shop)
    orders = [[batch.domain for batch in first] for _ in range(3)]
    assert orders == [[batch.domain for batch in again] for _ in range(3)]
    assert len({tuple(order) for order in orders}) == 3
    other = MixedLoader(first.main, first.domains, seed=4)
    assert not np.array_equal(other.order(0), first.order(0))


def test_a_loader_that_goes_on_gives_the_rest_to_the_last_bit(shop: Shop) -> None:
    whole, kept, states = mixed(shop), [], []
    for _ in range(3):
        for batch in whole:
            kept.append(batch)
            states.append(json.dumps(whole.state_dict()))
    for place in (0, 4, len(whole) - 1, len(whole), 2 * len(whole) - 2):
        resumed = mixed(shop)
        resumed.load_state_dict(json.loads(states[place]))
        rest = [*resumed, *resumed]  # the rest of an epoch, if any, and a whole one
        assert len(rest) >= len(whole)
        for batch, other in zip(rest, kept[place + 1 : place + 1 + len(rest)], strict=True):
            assert_equal(batch, other)


def test_processes_have_one_domain_at_a_step_and_share_its_batches(shop: Shop) -> None:
    ranks = [mixed(shop, Shard(rank, 2)) for rank in range(2)]
    for _ in range(2):
        pairs = list(zip(*ranks, strict=True))
        assert [one.domain for one, _ in pairs] == [other.domain for _, other in pairs]
        read = torch.cat([batch.basket_ids for pair in pairs for batch in pair if batch.domain is None])
        assert sorted(read.tolist()) == shop.split.train_baskets(shop.log).tolist()


def test_validation_takes_the_domains_in_turn(shop: Shop) -> None:
    main, other = loader(shop, 3), loader(shop, 5)
    turns = InTurn(main, {"small": other})
    met = list(turns)
    assert len(turns) == len(met) == len(main) + len(other)
    assert [batch.domain for batch in met] == [None] * len(main) + ["small"] * len(other)


def test_a_batch_keeps_its_domain(shop: Shop) -> None:
    batch = of_domain(next(iter(loader(shop, 1))), "small")
    assert batch.to("cpu").domain == batch.rows(0, 3).domain == "small"
    assert next(islice(loader(shop, 1), 1)).domain is None
