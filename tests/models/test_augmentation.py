"""Tests of every augmentation of sequences, found by globbing: order of time, unchanged targets, and errors."""

from collections import Counter
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from small_shop import MAX_SEQ_LEN, Shop
from small_views import (
    CHANGED,
    Window,
    assert_is,
    facts_of,
    local_day,
    part_of,
    positions,
    random_batch,
    readings,
    training_batch,
    windows,
)
from torch import Tensor

from seasonrec.config import conf_dir
from seasonrec.models.augmentation.base import Augmentation
from seasonrec.models.augmentation.crop import Crop
from seasonrec.models.augmentation.mask import Mask
from seasonrec.models.augmentation.none import NoAugmentation
from seasonrec.models.augmentation.reorder import Reorder
from seasonrec.models.augmentation.several import Several
from seasonrec.models.augmentation.substitute import Substitute

OPTIONS = sorted(path.stem for path in (conf_dir() / "augmentation").glob("*.yaml"))


@pytest.fixture(scope="module")
def parts(shop: Shop) -> dict[str, Augmentation]:
    return {option: part_of(option)(facts=shop.facts(), log=shop.log) for option in OPTIONS}


every_option = pytest.mark.parametrize("option", OPTIONS)


@every_option
def test_only_the_windows_change(parts: dict[str, Augmentation], shop: Shop, option: str) -> None:
    batch = training_batch(shop)
    kept = {f.name: getattr(batch, f.name).clone() for f in fields(batch) if isinstance(getattr(batch, f.name), Tensor)}
    for seed in range(5):
        made = parts[option](batch, np.random.default_rng(seed))
        for name in {f.name for f in fields(batch)} - CHANGED:
            assert getattr(made, name) is getattr(batch, name), name
        for name, value in kept.items():
            assert torch.equal(getattr(batch, name), value), f"{name} of the batch that came in was changed"


@every_option
def test_windows_stay_valid(parts: dict[str, Augmentation], shop: Shop, option: str) -> None:
    num_items, batch = shop.log.num_items, training_batch(shop)
    for seed in range(5):
        made = parts[option](batch, np.random.default_rng(seed))
        length = (~made.is_padding).sum(1)
        width = made.item_ids.shape[1]
        assert width == max(1, int(length.max())) <= MAX_SEQ_LEN
        assert torch.equal(made.is_padding, torch.arange(width) >= length[:, None])
        assert (made.item_ids[made.is_padding] == num_items).all()
        assert (made.timestamps_s[made.is_padding] == 0).all()
        assert made.item_ids.dtype == made.timestamps_s.dtype == made.request_position.dtype == torch.int64
        assert ((made.request_position >= 0) & (made.request_position <= length[made.request_window])).all()
        assert ((made.request_position > 0) == (batch.request_position > 0)).all()


def by_day(reading: Window, timezone: str) -> list[int]:
    return [local_day(time_s, timezone) for _, time_s in reading]


SHRINKS: Callable[..., bool] = lambda old, new: new == old[len(old) - len(new) :]  # noqa: E731
GROWS: Callable[..., bool] = lambda old, new: all(new.count(d) <= 2 * old.count(d) for d in new)  # noqa: E731
DAYS_MAY = {"crop": SHRINKS, "insert": GROWS, "several": GROWS}
"""Allowed changes of the days that a request reads; any other option, also a future one, must keep all days."""


@every_option
@pytest.mark.parametrize("source", ["shop", "random"])
def test_no_event_moves_across_a_request_or_into_another_day(shop: Shop, option: str, source: str) -> None:
    part = part_of(option)(facts=shop.facts(), log=shop.log)
    zone, born = shop.spec.timezone, shop.log.item_first_seen_s
    for seed in range(4):
        batch = training_batch(shop) if source == "shop" else random_batch(seed, shop.log.num_items)
        made = part(batch, np.random.default_rng(seed))
        for old, new, until_s in zip(readings(batch), readings(made), batch.request_time_s.tolist(), strict=True):
            times = [time_s for _, time_s in new]
            assert times == sorted(times)
            assert all(time_s < until_s for time_s in times)
            assert set(times) <= {time_s for _, time_s in old}, "an event at a time at which the user did nothing"
            new_days, old_days = by_day(new, zone), by_day(old, zone)
            assert DAYS_MAY.get(option, lambda old, new: old == new)(old_days, new_days)
            fresh = Counter(new) - Counter(old)
            assert all(item == shop.log.num_items or born[item] <= time_s for item, time_s in fresh)


@every_option
def test_the_result_depends_only_on_the_generator(parts: dict[str, Augmentation], shop: Shop, option: str) -> None:
    batch = training_batch(shop)
    first, again, other = (parts[option](batch, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(getattr(first, name), getattr(again, name)) for name in CHANGED)
    same = [first.item_ids.shape == other.item_ids.shape and torch.equal(first.item_ids, other.item_ids)]
    assert all(same) == (option == "none")
    state = torch.get_rng_state()
    parts[option](batch, np.random.default_rng(0))
    assert torch.equal(torch.get_rng_state(), state)


@every_option
def test_windows_without_events_stay_empty(parts: dict[str, Augmentation], shop: Shop, option: str) -> None:
    batch = random_batch(0, shop.log.num_items)
    nothing = torch.ones_like(batch.is_padding)
    empty = replace(
        batch,
        item_ids=torch.full_like(batch.item_ids, shop.log.num_items),
        timestamps_s=torch.zeros_like(batch.timestamps_s),
        is_padding=nothing,
        request_position=torch.zeros_like(batch.request_position),
    )
    made = parts[option](empty, np.random.default_rng(0))
    assert made.is_padding.all()
    assert not made.request_position.any()


def test_none_returns_the_batch_itself(parts: dict[str, Augmentation], shop: Shop) -> None:
    batch = training_batch(shop)
    assert parts["none"](batch, np.random.default_rng(0)) is batch


@pytest.mark.parametrize("name", ["crop", "mask", "reorder", "substitute", "insert"])
@pytest.mark.parametrize("rate", [-0.1, 1.5, float("nan")])
def test_a_rate_out_of_range_is_refused(shop: Shop, name: str, rate: float) -> None:
    with pytest.raises(ValueError, match=rf"augmentation\.rate must lie in \[0, 1\], got {rate}; try"):
        part_of(name)(rate=rate, facts=shop.facts(), log=shop.log)


@pytest.mark.parametrize("part", [Crop, Mask, Reorder])
def test_rate_zero_changes_nothing(part: Any) -> None:
    batch = random_batch(3)
    made = part(0.0, facts=facts_of(9), log=None)(batch, np.random.default_rng(0))
    assert_is(made, windows(batch), [positions(batch, row) for row in range(len(batch.item_ids))])


def test_other_errors(shop: Shop) -> None:
    facts, options = shop.facts(), dict.fromkeys(("crop", "mask", "reorder", "substitute", "insert"), NoAugmentation)
    with pytest.raises(ValueError, match=r"augmentation\.window_s must be at least 0, got -1; try 0"):
        Reorder(1.0, -1, facts=facts, log=None)
    with pytest.raises(ValueError, match="num_neighbours must be at least 1, got 0; try 10"):
        Substitute(num_neighbours=0, facts=facts, log=shop.log)
    with pytest.raises(ValueError, match=r"chance must lie in \[0, 1\], got 2.0; try 0.5"):
        Several(**options, chance=2.0, facts=facts, log=None)
    with pytest.raises(ValueError, match=r"weights must be 5 numbers at or above 0.*got \(.*e.g. \[1, 1"):
        Several(**options, weights=(0.0,) * 5, facts=facts, log=None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"augmentation\.weights: each entry must be at least 0, got \[1\.0, 1\.0, -1"):
        Several(**options, weights=(1.0, 1.0, -1.0, 1.0, 1.0), facts=facts, log=None)  # type: ignore[arg-type]
