"""Random logs with ties between users, and with frequent and rare items."""

from pathlib import Path

import numpy as np
import polars as pl

from seasonrec.data.log import EventLog

START_S = 1_483_200_000  # 2016-12-31 16:00 UTC
DAY_S = 86_400


def random_log(seed: int = 0, num_users: int = 40, num_items: int = 60, num_days: int = 50) -> EventLog:
    draw = np.random.default_rng(seed)
    sizes = draw.integers(1, 40, num_users)  # baskets of each user; the first user has one
    users = np.repeat(np.arange(num_users), sizes)
    moments = START_S + draw.integers(0, num_days * 24, len(users)) * 3_600  # whole hours: users meet in a second
    _, first = np.unique(np.stack([users, moments]), axis=1, return_index=True)
    users, moments = users[first], moments[first]
    popular = 1.0 / np.arange(1, num_items + 1) ** 1.2
    lengths = draw.integers(1, 6, len(users))
    items = np.concatenate([draw.choice(num_items, n, replace=False, p=popular / popular.sum()) for n in lengths])
    return log_of(users, moments, lengths, items, num_items)


def log_of(users: np.ndarray, moments: np.ndarray, lengths: np.ndarray, items: np.ndarray, num_items: int) -> EventLog:
    """Returns the log of baskets by user and time, with their lengths and the items of all in order."""
    num_users = int(users.max()) + 1
    times = np.repeat(moments, lengths)
    first_seen = np.full(num_items, np.iinfo(np.int64).max)
    np.minimum.at(first_seen, items, times)
    basket_offsets = np.append(0, np.cumsum(lengths))
    user_baskets = np.searchsorted(users, np.arange(num_users + 1))
    return EventLog(
        folder=Path(),
        digest="0" * 64,
        country="US",
        timezone="America/New_York",
        event_items=items.astype(np.int32),
        event_times_s=times,
        event_values=np.ones(len(items), dtype=np.float32),
        user_offsets=basket_offsets[user_baskets],
        user_baskets=user_baskets,
        basket_offsets=basket_offsets,
        basket_users=users.astype(np.int32),
        basket_times_s=moments,
        item_first_seen_s=first_seen,
        item_categories=(np.arange(num_items) % 7).astype(np.int32),
        items=pl.DataFrame({"item_id": [f"i{item}" for item in range(num_items)]}).with_columns(text=pl.lit("thing")),
        users=pl.DataFrame({"user_id": [f"u{user}" for user in range(num_users)]}),
        report={},
    )
