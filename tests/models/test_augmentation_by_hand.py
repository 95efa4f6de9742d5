"""Tests of each augmentation of sequences against a loop over windows and events."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import torch
from small_shop import Shop
from small_views import (
    CHANGED,
    DAY_S,
    START_S,
    Window,
    assert_is,
    facts_of,
    local_day,
    part_of,
    positions,
    random_batch,
    training_batch,
    windows,
)
from torch import Tensor

from seasonrec.models.augmentation.crop import Crop
from seasonrec.models.augmentation.insert import Insert
from seasonrec.models.augmentation.mask import Mask
from seasonrec.models.augmentation.neighbours import Neighbours
from seasonrec.models.augmentation.reorder import Reorder
from seasonrec.models.augmentation.several import Several
from seasonrec.models.augmentation.substitute import Substitute


@pytest.mark.parametrize("seed", range(20))
def test_crop(seed: int) -> None:
    batch, rate = random_batch(seed), 0.9
    made = Crop(rate, facts=facts_of(9), log=None)(batch, np.random.default_rng(seed))
    draws = np.random.default_rng(seed).random(len(batch.item_ids))
    expected, places = [], []
    for row, window in enumerate(windows(batch)):
        reading = [p for p in positions(batch, row) if p > 0]
        dropped = int(draws[row] * rate * min(reading)) if reading else 0
        expected.append(window[dropped:])
        places.append([max(0, p - dropped) for p in positions(batch, row)])
    assert_is(made, expected, places)


@pytest.mark.parametrize("seed", range(20))
def test_mask(seed: int) -> None:
    batch, rate = random_batch(seed), 0.4
    made = Mask(rate, facts=facts_of(9), log=None)(batch, np.random.default_rng(seed))
    draws = np.random.default_rng(seed).random(tuple(batch.item_ids.shape))
    expected = [
        [(9 if draws[row, place] < rate else item, time_s) for place, (item, time_s) in enumerate(window)]
        for row, window in enumerate(windows(batch))
    ]
    assert_is(made, expected, [positions(batch, row) for row in range(len(expected))])


def groups_of(window: Window, cuts: set[int], begin: int, window_s: int) -> list[list[int]]:
    """Returns the positions whose items may be exchanged."""
    groups: list[list[int]] = []
    for place, (_, time_s) in enumerate(window):
        last = window[groups[-1][-1]][1] if groups else None
        together = last is not None and (time_s + begin) // (window_s + 1) == (last + begin) // (window_s + 1)
        same_day = last is not None and local_day(time_s, "America/New_York") == local_day(last, "America/New_York")
        if together and same_day and place not in cuts:
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("window_s", "gap_s"), [(0, 5), (3 * 3600, 4000), (40, 20)])
def test_reorder(seed: int, window_s: int, gap_s: int) -> None:
    batch = random_batch(seed, gap_s=gap_s)
    born = torch.randint(0, 3, (9,), generator=torch.Generator().manual_seed(seed)) * 4 * gap_s + START_S - 4 * gap_s
    born = torch.minimum(born, torch.where(batch.is_padding, born.max(), batch.timestamps_s).min())
    rate, facts = 0.7, facts_of(9, first_seen_s=born)
    made = Reorder(rate, window_s, facts=facts, log=None)(batch, np.random.default_rng(seed))
    draw = np.random.default_rng(seed)
    begin = np.floor(draw.random((len(batch.item_ids), 1)) * (window_s + 1)).astype(int)
    chances, keys = draw.random(tuple(batch.item_ids.shape)), draw.random(tuple(batch.item_ids.shape))
    expected = []
    for row, window in enumerate(windows(batch)):
        items = [item for item, _ in window]
        cuts = set(positions(batch, row))
        for number, group in enumerate(groups_of(window, cuts, int(begin[row, 0]), window_s)):
            order = sorted(group, key=lambda place: keys[row, place]) if chances[row, number] < rate else group
            moved = [window[place][0] for place in order]
            if all(born[item] <= window[place][1] for item, place in zip(moved, group, strict=True)):
                for item, place in zip(moved, group, strict=True):
                    items[place] = item
        expected.append([(item, time_s) for item, (_, time_s) in zip(items, window, strict=True)])
    assert_is(made, expected, [positions(batch, row) for row in range(len(expected))])


def test_reorder_moves_items_but_not_before_their_first_sale() -> None:
    """The batch has two events a minute apart; the second item was first sold between them."""
    batch = random_batch(1, width=2)
    item_ids, times_s = torch.tensor([[0, 1]] * 7), torch.tensor([[START_S, START_S + 60]] * 7)
    never = torch.zeros_like(batch.request_position)
    batch = replace(batch, item_ids=item_ids, timestamps_s=times_s, is_padding=item_ids < 0, request_position=never)
    free, late = torch.tensor([0, 0]), torch.tensor([0, START_S + 30])
    for born, moves in ((free, True), (late, False)):
        part = Reorder(1.0, 10_000, facts=facts_of(2, first_seen_s=born), log=None)
        made = [part(batch, np.random.default_rng(seed)).item_ids for seed in range(5)]
        assert any(not torch.equal(ids, item_ids) for ids in made) == moves


def test_reorder_uses_days_of_the_time_zone_of_the_shop() -> None:
    """19:30 and 20:30 in New York are on two days in UTC; 23:30 and 00:30 are on two days in New York."""
    zone = ZoneInfo("America/New_York")
    evening = [datetime(2017, 1, 5, hour, 30, tzinfo=zone).timestamp() for hour in (18, 19)]
    midnight = [datetime(2017, 1, day, hour, 30, tzinfo=zone).timestamp() for day, hour in ((5, 23), (6, 0))]
    batch = random_batch(1, width=2)
    never = torch.zeros_like(batch.request_position)
    item_ids = torch.tensor([[0, 1]] * 7)
    for pair, moves in ((evening, True), (midnight, False)):
        times_s = torch.tensor([pair] * 7).long()
        asked = replace(batch, item_ids=item_ids, timestamps_s=times_s, is_padding=item_ids < 0, request_position=never)
        part = Reorder(1.0, 20 * 3600, facts=facts_of(2), log=None)
        made = [part(asked, np.random.default_rng(seed)).item_ids for seed in range(5)]
        assert any(not torch.equal(ids, item_ids) for ids in made) == moves


TABLE = [[1, 2], [0, 9], [9, 9], [4, 5], [3, 8], [6, 7], [5, 7], [6, 5], [0, 1], [9, 9]]


def tabled(part: Any, born: Tensor) -> Any:
    """Returns the augmentation with a table of neighbours written by hand."""
    part.neighbours = Neighbours(torch.tensor(TABLE), torch.cat([born, torch.tensor([torch.iinfo(torch.int64).max])]))
    return part


def drawn(item: int, time_s: int, draw: float, born: Tensor) -> int:
    alive = [other for other in TABLE[item] if other < 9 and int(born[other]) <= time_s]
    return alive[int(draw * len(alive))] if alive else 9


def birthdays(seed: int) -> Tensor:
    return START_S + torch.randint(-2, 5, (9,), generator=torch.Generator().manual_seed(seed)) * DAY_S


@pytest.fixture
def without_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("substitute", "insert"):
        monkeypatch.setattr(f"seasonrec.models.augmentation.{module}.neighbours", lambda *arguments: None)


@pytest.mark.usefixtures("without_neighbours")
@pytest.mark.parametrize("seed", range(20))
def test_substitute(seed: int) -> None:
    batch, rate, born = random_batch(seed), 0.6, birthdays(seed)
    made = tabled(Substitute(rate, facts=facts_of(9), log=None), born)(batch, np.random.default_rng(seed))
    draw = np.random.default_rng(seed)
    chances, draws = draw.random(tuple(batch.item_ids.shape)), draw.random(tuple(batch.item_ids.shape))
    expected = []
    for row, window in enumerate(windows(batch)):
        expected.append([])
        for place, (item, time_s) in enumerate(window):
            other = drawn(item, time_s, draws[row, place], born)
            expected[-1].append((other if other < 9 and chances[row, place] < rate else item, time_s))
    assert_is(made, expected, [positions(batch, row) for row in range(len(expected))])


@pytest.mark.usefixtures("without_neighbours")
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("rate", "max_seq_len"), [(0.3, 12), (1.0, 12), (1.0, 15), (0.6, 40)])
def test_insert(seed: int, rate: float, max_seq_len: int) -> None:
    batch, born = random_batch(seed), birthdays(seed)
    part = tabled(Insert(rate, facts=facts_of(9, max_seq_len), log=None), born)
    made = part(batch, np.random.default_rng(seed))
    draw = np.random.default_rng(seed)
    chances, draws = draw.random(tuple(batch.item_ids.shape)), draw.random(tuple(batch.item_ids.shape))
    expected, places = [], []
    for row, window in enumerate(windows(batch)):
        reading = [p for p in positions(batch, row) if p > 0]
        room = max_seq_len - len(window) + (min(reading) - 1 if reading else 0)
        grown: list[tuple[int, int, int]] = []  # item, time, and the position from which a request may read it
        for place in reversed(range(len(window))):
            item, time_s = window[place]
            other = drawn(item, time_s, draws[row, place], born)
            if other < 9 and chances[row, place] < rate and room > 0:
                grown.insert(0, (other, time_s, place + 1))
                room -= 1
            grown.insert(0, (item, time_s, place + 1))
        kept = grown[-max_seq_len:]
        lost = len(grown) - len(kept)
        expected.append([(item, time_s) for item, time_s, _ in kept])
        read = [sum(readable <= p for _, _, readable in grown) - lost for p in positions(batch, row)]
        places.append([max(0, p) for p in read])
    assert_is(made, expected, places)


@pytest.mark.parametrize("seed", range(5))
def test_several_chooses_one_augmentation_per_window(shop: Shop, seed: int) -> None:
    options = {name: part_of(name) for name in ("crop", "mask", "reorder", "substitute", "insert")}
    weights, facts = (3.0, 1.0, 0.0, 1.0, 2.0), shop.facts()
    part = Several(**options, chance=0.8, weights=weights, facts=facts, log=shop.log)
    batch = training_batch(shop)
    made = part(batch, np.random.default_rng(seed))
    draw = np.random.default_rng(seed)
    shares = [0.2, *(0.8 * weight / 7.0 for weight in weights)]
    choice = draw.choice(6, len(batch.item_ids), p=np.array(shares) / sum(shares))
    versions = [batch, *(option(facts=facts, log=shop.log)(batch, draw) for option in options.values())]
    expected = [windows(versions[k])[row] for row, k in enumerate(choice)]
    assert_is(made, expected, [positions(versions[k], row) for row, k in enumerate(choice)])
    assert set(choice) == {0, 1, 2, 4, 5}


def test_chance_zero_changes_no_window(shop: Shop) -> None:
    options = {name: part_of(name) for name in ("crop", "mask", "reorder", "substitute", "insert")}
    batch = training_batch(shop)
    made = Several(**options, chance=0.0, facts=shop.facts(), log=shop.log)(batch, np.random.default_rng(0))
    assert all(torch.equal(getattr(made, name), getattr(batch, name)) for name in CHANGED)
