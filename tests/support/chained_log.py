"""A log in which an item often follows another one, so that a sequence model can beat popularity."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from random_log import DAY_S, START_S, log_of
from small_shop import Shop

from seasonrec.batches.splits import TimeSplit, spec_of


def chained_shop(
    cache_dir: Path, seed: int = 0, num_users: int = 400, num_items: int = 100, visits: int = 12, follows: float = 0.6
) -> Shop:
    """Returns visits of one item each, one every ten days; an item has one follower, and Zipf's law popularity.

    Args:
        follows: Probability that the next item is the follower of the last one.
    """
    draw = np.random.default_rng(seed)
    share = draw.permutation(1.0 / np.arange(1, num_items + 1))
    share /= share.sum()
    follower = draw.permutation(num_items)
    items = draw.choice(num_items, (num_users, visits), p=share)
    for visit in range(1, visits):
        is_follower = draw.random(num_users) < follows
        items[:, visit] = np.where(is_follower, follower[items[:, visit - 1]], items[:, visit])
    times_s = START_S + 10 * DAY_S * np.arange(visits) + draw.integers(0, DAY_S, (num_users, visits))
    users, lengths = np.repeat(np.arange(num_users), visits), np.ones(items.size, dtype=np.int64)
    log = log_of(users, times_s.ravel(), lengths, items.ravel(), num_items)
    one_category = log.items.with_columns(category=pl.lit("one"))
    log = replace(log, item_categories=np.zeros(num_items, dtype=np.int32), items=one_category)
    split = TimeSplit().resolve(log)
    return Shop(log, split, spec_of(log, split), cache_dir)
