"""Small logs written by hand, and scorers with known scores."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import torch

from seasonrec.batches.requests import Requests
from seasonrec.batches.splits import Split
from seasonrec.data.log import EventLog

Basket = tuple[int, str, Sequence[int]]
"""User, time such as ``2017-11-20 18:00`` in UTC, items."""


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def build_log(baskets: Sequence[Basket], timezone: str = "UTC", country: str | None = "US") -> EventLog:
    rows = sorted((user, seconds(text), list(items)) for user, text, items in baskets)
    users, times = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], dtype=np.int64)
    sizes = np.array([len(row[2]) for row in rows])
    items = np.concatenate([row[2] for row in rows]).astype(np.int32)
    event_times = np.repeat(times, sizes)
    num_users, num_items = int(users.max()) + 1, int(items.max()) + 1
    first_seen = np.full(num_items, np.iinfo(np.int64).max)
    np.minimum.at(first_seen, items, event_times)

    def offsets(counts: np.ndarray) -> np.ndarray:
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    return EventLog(
        folder=Path(),
        digest="d" * 64,
        country=country,
        timezone=timezone,
        event_items=items,
        event_times_s=event_times,
        event_values=np.ones(len(items), dtype=np.float32),
        user_offsets=offsets(np.bincount(np.repeat(users, sizes), minlength=num_users)),
        user_baskets=offsets(np.bincount(users, minlength=num_users)),
        basket_offsets=offsets(sizes),
        basket_users=users.astype(np.int32),
        basket_times_s=times,
        item_first_seen_s=first_seen,
        item_categories=np.zeros(num_items, dtype=np.int32),
        items=pl.DataFrame({"item_id": [f"item{i}" for i in range(num_items)]}).with_columns(
            text=pl.format("Item {}", pl.int_range(num_items))
        ),
        users=pl.DataFrame({"user_id": [f"user{u}" for u in range(num_users)]}),
        report={},
    )


def build_split(log: EventLog, validation_from: str, test_from: str) -> Split:
    first, last = int(log.basket_times_s.min()), int(log.basket_times_s.max())
    return Split(first, seconds(validation_from), seconds(test_from), last + 1)


@dataclass
class TableScorer:
    """Scorer from a function of the request's row numbers in the log, with known scores."""

    table: Callable[[Requests], torch.Tensor]
    name: str = "table"

    def score(self, requests: Requests) -> torch.Tensor:
        return self.table(requests)


def random_log() -> EventLog:
    """Returns a log of thirty users and forty items in autumn 2017; item 39 appears only on the last day."""
    generator = np.random.default_rng(0)
    popularity = 1.0 / np.arange(1, 40)
    popularity /= popularity.sum()
    baskets: list[Basket] = []
    for user in range(30):
        for day in sorted(generator.choice(92, size=14, replace=False)):
            items = generator.choice(39, size=int(generator.integers(1, 6)), replace=False, p=popularity)
            date = np.datetime64("2017-10-01") + int(day)
            baskets.append((user, f"{date} {int(generator.integers(8, 20)):02d}:00", items.tolist()))
    return build_log([*baskets, (0, "2017-12-31 22:00", [39, 0])])
