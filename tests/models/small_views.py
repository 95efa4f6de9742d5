"""Synthetic training windows for tests of augmentations, and helpers to inspect them."""

from datetime import UTC, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import torch
from small_shop import Shop
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.batches.horizon import ROLLING
from seasonrec.batches.loader import LoaderOptions, TrainingLoader
from seasonrec.config import Composer, ConfTree, build
from seasonrec.data.spec import DataSpec

CHANGED = {"item_ids", "timestamps_s", "is_padding", "request_position"}
DAY_S = 86_400
START_S = 1_483_200_000

Window = list[tuple[int, int]]
"""Events ``(item, time)`` of one window, padding left out."""


@cache
def part_of(option: str) -> Any:
    return build(Composer(ConfTree.of()).compose([f"augmentation={option}"]).augmentation)


def facts_of(num_items: int, max_seq_len: int = 12, first_seen_s: Tensor | None = None) -> Facts:
    spec = DataSpec(1, num_items, 1, 1, 1, 0, 1, 1, "US", "America/New_York", False, False)
    born = torch.zeros(num_items, dtype=torch.int64) if first_seen_s is None else first_seen_s
    some = torch.ones(num_items)
    return Facts(spec, ("",) * num_items, born, some, some, 8, max_seq_len, None)  # type: ignore[arg-type]


def random_batch(seed: int, num_items: int = 9, width: int = 12, gap_s: int = DAY_S) -> SequenceBatch:
    """Makes windows with ties in time and requests at the ends of baskets, as the loader does."""
    draw = np.random.default_rng(seed)
    lengths = draw.integers(0, width + 1, 7)
    is_padding = np.arange(width) >= lengths[:, None]
    steps = draw.integers(0, 3, is_padding.shape) * draw.integers(1, gap_s, is_padding.shape)
    times = START_S + np.cumsum(steps, axis=1)
    window, position = [], []
    for row, length in enumerate(lengths):
        ends = [p for p in range(length + 1) if p in (0, length) or times[row, p] > times[row, p - 1]]
        for p in sorted(draw.choice(ends, min(len(ends), 3), replace=False)):
            window.append(row)
            position.append(int(p))
    request_times = [int(times[w, p - 1]) + 1 if p else START_S for w, p in zip(window, position, strict=True)]
    count = len(window)
    return SequenceBatch(
        item_ids=torch.from_numpy(np.where(is_padding, num_items, draw.integers(0, num_items, is_padding.shape))),
        timestamps_s=torch.from_numpy(np.where(is_padding, 0, times)),
        is_padding=torch.from_numpy(is_padding),
        request_window=torch.tensor(window),
        request_position=torch.tensor(position),
        request_time_s=torch.tensor(request_times),
        candidates_until_s=torch.tensor(request_times),
        user_ids=torch.tensor(window),
        basket_ids=torch.arange(count),
        unavailable=torch.zeros(count, dtype=torch.int64),
        target_request=torch.arange(count),
        target_items=torch.arange(count) % num_items,
        context={},
    )


def windows(batch: SequenceBatch) -> list[Window]:
    rows = zip(batch.item_ids.tolist(), batch.timestamps_s.tolist(), batch.is_padding.tolist(), strict=True)
    return [[(i, t) for i, t, p in zip(*row, strict=True) if not p] for row in rows]


def readings(batch: SequenceBatch) -> list[Window]:
    """Returns the events that each request reads."""
    rows = windows(batch)
    places = zip(batch.request_window.tolist(), batch.request_position.tolist(), strict=True)
    return [rows[window][:position] for window, position in places]


def positions(batch: SequenceBatch, window: int) -> list[int]:
    return batch.request_position[batch.request_window == window].tolist()


def assert_is(batch: SequenceBatch, expected: list[Window], expected_positions: list[list[int]]) -> None:
    assert windows(batch) == expected
    assert [positions(batch, window) for window in range(len(expected))] == expected_positions


def training_batch(shop: Shop) -> SequenceBatch:
    baskets = shop.split.train_baskets(shop.log)
    return next(iter(TrainingLoader(shop.builder({}), baskets, LoaderOptions(batch_size=60), ROLLING, seed=3)))


def local_day(time_s: int, timezone: str) -> int:
    return datetime.fromtimestamp(time_s, UTC).astimezone(ZoneInfo(timezone)).toordinal()
