"""Daily counts: table and sparse form against a slow count."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from random_log import DAY_S, random_log

from seasonrec.batches.context import prefix_counts as module
from seasonrec.batches.context.daily_counts import DailyCounts
from seasonrec.batches.context.prefix_counts import DensePrefix, SparsePrefix, prefix_counts
from seasonrec.batches.context.share_index import SharesContext, SharesIndex
from seasonrec.batches.horizon import Horizon
from seasonrec.batches.requests import Requests
from seasonrec.data import portions
from seasonrec.data.calendar import local_days


@pytest.fixture(params=["whole", "in pieces"])
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits every portion, group and step to a few events."""
    if request.param == "in pieces":
        monkeypatch.setattr(portions.basket_portions, "__defaults__", (7,))
        monkeypatch.setattr(module, "SORTED_EVENTS", 20)
        monkeypatch.setattr(module, "LOOKED_UP", 30)


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("seed", range(3))
def test_forms_equal_each_other_and_a_slow_count(seed: int) -> None:
    log = random_log(seed)
    dense, sparse = DailyCounts(log), DailyCounts(log, dense_cells=0)
    assert isinstance(dense.items, DensePrefix)
    assert isinstance(sparse.items, SparsePrefix)
    assert 0 < (sparse.items.column >= 0).sum() < log.num_items  # both kinds of items occur
    assert sparse.items.days.dtype == np.uint8
    day_of = local_days(log.event_times_s, log.timezone)
    days = np.arange(dense.num_days + 1)
    slow = [
        np.bincount(log.event_items[day_of < dense.first_day + day], minlength=log.num_items) for day in days.tolist()
    ]
    for counts in (dense, sparse):
        assert (counts.first_day, counts.num_days) == (day_of.min(), day_of.max() - day_of.min() + 1)
        assert counts.before(days).dtype == np.int32
        assert (counts.before(days) == slow).all()
        assert (counts.total_before == np.sum(slow, axis=1)).all()
        by_category = np.stack([np.asarray(slow)[:, log.item_categories == group].sum(1) for group in range(7)], axis=1)
        assert (counts.categories.before(days) == by_category).all()


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("dense_cells", [0, 1 << 26])
def test_columns_and_days_in_any_order(dense_cells: int) -> None:
    log = random_log(4)
    counts = DailyCounts(log, dense_cells)
    everything = counts.before(np.arange(counts.num_days + 1))
    draw = np.random.default_rng(0)
    for size in (0, 1, 25):
        items = np.sort(draw.choice(log.num_items, size, replace=False))
        days = draw.integers(0, counts.num_days + 1, 30)
        assert (counts.before(days, items) == everything[days][:, items]).all()
        week = everything[days] - everything[np.maximum(days - 7, 0)]
        assert (counts.window(days, 7, items) == week[:, items]).all()


@pytest.mark.parametrize("dense_cells", [0, 1 << 26])
def test_horizon_ends_what_is_known(dense_cells: int) -> None:
    log = random_log(5)
    counts = DailyCounts(log, dense_cells)
    baskets = np.arange(log.num_baskets)
    late, early = Requests.of_baskets(log, baskets), Requests.of_baskets(log, baskets, Horizon(9 * DAY_S))
    days = local_days(log.basket_times_s, log.timezone) - counts.first_day
    assert (counts.known_days(late) == days).all()
    assert (counts.known_days(early) == np.maximum(days - 9, 0)).all()


def test_table_is_kept_up_to_its_size() -> None:
    def events() -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
        yield np.asarray([0, 1], dtype=np.int32), np.asarray([2, 2], dtype=np.int32)

    assert isinstance(prefix_counts(events, 9, 10, dense_cells=100), DensePrefix)
    assert isinstance(prefix_counts(events, 10, 10, dense_cells=100), SparsePrefix)


def test_sparse_form_takes_four_bytes_an_event_at_most() -> None:
    log = random_log(6, num_users=300, num_items=3_000, num_days=365)
    sparse = DailyCounts(log, dense_cells=0).items
    assert isinstance(sparse, SparsePrefix)
    row = sparse.table.shape[1]  # one row more than there are days
    assert sparse.table.nbytes - 4 * row + sparse.days.nbytes <= 4 * log.num_events


def test_days_begin_with_the_first_item_even_if_nobody_bought_it() -> None:
    """An excerpt of a log, and a log of views, have items from before their first basket: no day before is known."""
    log = random_log(0)
    early = int(log.basket_times_s.min()) - 5 * DAY_S
    log = replace(log, item_first_seen_s=np.append(early, log.item_first_seen_s[1:]))
    one = Requests.of_baskets(log, np.array([0]), Horizon(0))
    before = replace(one, times_s=np.array([early]), known_until_s=np.array([early]))
    assert DailyCounts(log).known_days(before).tolist() == [0]
    shares = SharesIndex(log, SharesContext((7,), ()))
    assert shares(before).sizes.tolist() == [[0, 0]]
    assert shares(replace(before, known_until_s=before.known_until_s + DAY_S)).sizes[0, 0] == 1
