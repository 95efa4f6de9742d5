"""A log in which an item often follows another one, so that a sequence model can beat popularity."""

from pathlib import Path

import numpy as np
import polars as pl
from small_shop import Shop

from seasonrec.batches.splits import TimeSplit, spec_of
from seasonrec.data.log import EventLog

START_S = 1_483_200_000  # 2016-12-31 16:00 UTC
DAY_S = 86_400


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
    log = _log(items.ravel(), times_s.ravel(), num_users, num_items)
    split = TimeSplit().resolve(log)
    return Shop(log, split, spec_of(log, split), cache_dir)


def _log(items: np.ndarray, times_s: np.ndarray, num_users: int, num_items: int) -> EventLog:
    visits = len(items) // num_users
    first_seen = np.full(num_items, np.iinfo(np.int64).max)
    np.minimum.at(first_seen, items, times_s)
    item_ids = [f"i{item}" for item in range(num_items)]
    return EventLog(
        folder=Path(),
        digest="0" * 64,
        country="US",
        timezone="America/New_York",
        event_items=items.astype(np.int32),
        event_times_s=times_s,
        event_values=np.ones(len(items), dtype=np.float32),
        user_offsets=np.arange(num_users + 1) * visits,
        user_baskets=np.arange(num_users + 1) * visits,
        basket_offsets=np.arange(len(items) + 1),
        basket_users=np.repeat(np.arange(num_users), visits).astype(np.int32),
        basket_times_s=times_s,
        item_first_seen_s=first_seen,
        item_categories=np.zeros(num_items, dtype=np.int32),
        items=pl.DataFrame({"item_id": item_ids}).with_columns(text=pl.lit("thing"), category=pl.lit("one")),
        users=pl.DataFrame({"user_id": [f"u{user}" for user in range(num_users)]}),
        report={},
    )
