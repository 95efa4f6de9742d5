"""Batches: their windows, requests, targets and order."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from random_log import random_log
from small_shop import MAX_SEQ_LEN, Shop

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.context.own_history import OwnHistoryContext
from seasonrec.batches.horizon import ROLLING, Horizon
from seasonrec.batches.loader import BatchBuilder, LoaderOptions, TrainingLoader
from seasonrec.batches.requests import Requests

DAY = 86_400
OPTIONS = LoaderOptions(batch_size=70)


def loader_of(shop: Shop, options: LoaderOptions = OPTIONS, horizon_s: int = 0, seed: int = 5) -> TrainingLoader:
    builder = shop.builder({"own_history": OwnHistoryContext()})
    return TrainingLoader(builder, shop.split.train_baskets(shop.log), options, Horizon(horizon_s), seed)


def history(shop: Shop, user: int, until_s: int) -> list[int]:
    """Returns the items of a user's events before a second, oldest first."""
    own = slice(int(shop.log.user_offsets[user]), int(shop.log.user_offsets[user + 1]))
    return shop.log.event_items[own][shop.log.event_times_s[own] < until_s].tolist()


def assert_reads_own_past(shop: Shop, batch: SequenceBatch, horizon_s: int, at_least: int) -> None:
    """Checks that each request reads its user's last events before it: enough, in order, without padding."""
    log = shop.log
    for number in range(batch.num_requests):
        window, position = int(batch.request_window[number]), int(batch.request_position[number])
        read = batch.item_ids[window, :position].tolist()
        known = history(shop, int(batch.user_ids[number]), int(batch.request_time_s[number]) - horizon_s)
        assert len(read) >= min(at_least, len(known))
        assert read == known[len(known) - len(read) :]
        assert not batch.is_padding[window, :position].any()
        basket = int(batch.basket_ids[number])
        targets = batch.target_items[batch.target_request == number].tolist()
        bought = log.event_items[log.basket_offsets[basket] : log.basket_offsets[basket + 1]]
        known = log.item_first_seen_s[bought] < int(batch.request_time_s[number]) - horizon_s
        assert targets == bought[known].tolist()
        assert int(batch.unavailable[number]) == (~known).sum()
        assert int(batch.request_time_s[number]) == log.basket_times_s[basket]
        assert int(batch.user_ids[number]) == log.basket_users[basket]


def assert_padding_is_behind(shop: Shop, batch: SequenceBatch) -> None:
    assert (batch.is_padding.int().diff(dim=1) >= 0).all()
    assert (batch.item_ids[batch.is_padding] == shop.log.num_items).all()
    assert (batch.timestamps_s[batch.is_padding] == 0).all()
    real = ~batch.is_padding
    assert (batch.timestamps_s.diff(dim=1)[real[:, 1:]] >= 0).all()
    assert batch.item_ids.shape[1] <= MAX_SEQ_LEN


@pytest.mark.parametrize(("share", "horizon_days"), [(0.25, 0), (0.5, 0), (0.5, 9), (1.0, 0)])
def test_every_request_once_an_epoch_with_its_own_past(shop: Shop, share: float, horizon_days: int) -> None:
    loader = loader_of(shop, replace(OPTIONS, min_context_share=share), horizon_days * DAY)
    for _ in range(2):
        met = []
        for batch in loader:
            at_least = min(MAX_SEQ_LEN, int(np.ceil(share * MAX_SEQ_LEN)))
            assert_reads_own_past(shop, batch, horizon_days * DAY, at_least)
            assert_padding_is_behind(shop, batch)
            met += batch.basket_ids.tolist()
        assert sorted(met) == shop.split.train_baskets(shop.log).tolist()


@pytest.mark.parametrize("batch_size", [1, 3, 64, 70, 300, 100_000])
def test_every_epoch_has_as_many_batches_as_the_loader_says(shop: Shop, batch_size: int) -> None:
    loader = loader_of(shop, replace(OPTIONS, batch_size=batch_size))
    total = len(shop.split.train_baskets(shop.log))
    for epoch in range(3):
        loader.load_state_dict({"epoch": epoch, "position": 0})
        sizes = [batch.num_requests for batch in loader]
        assert len(sizes) == len(loader) == -(-total // batch_size)
        assert sum(sizes) == total
        assert 0 < min(sizes) <= max(sizes) <= batch_size


def test_windows_serve_several_requests(shop: Shop) -> None:
    windows = {share: _windows(shop, share) for share in (0.25, 0.5, 1.0)}
    assert windows[0.25] < windows[0.5] < windows[1.0]
    assert windows[0.25] < len(shop.split.train_baskets(shop.log)) / 2


def _windows(shop: Shop, share: float) -> int:
    return sum(len(batch.item_ids) for batch in loader_of(shop, replace(OPTIONS, min_context_share=share)))


def as_list(batch: SequenceBatch) -> list[torch.Tensor]:
    named = ("item_ids", "timestamps_s", "is_padding", "request_window", "request_position", "basket_ids")
    return [*(getattr(batch, name) for name in named), batch.target_items, batch.context["own_history"].decayed]


def assert_same(some: list[SequenceBatch], others: list[SequenceBatch]) -> None:
    assert len(some) == len(others)
    for one, other in zip(some, others, strict=True):
        assert all(torch.equal(left, right) for left, right in zip(as_list(one), as_list(other), strict=True))


def test_seed_and_epoch_decide_the_batches(shop: Shop) -> None:
    loader = loader_of(shop)
    first, second = list(loader), list(loader)
    again = loader_of(shop)
    assert_same(list(again), first)
    assert_same(list(again), second)
    orders = [
        [batch.basket_ids.tolist() for batch in epoch] for epoch in (first, second, list(loader_of(shop, seed=6)))
    ]
    assert orders[0] != orders[1]
    assert orders[0] != orders[2]


def test_without_shuffling_short_windows_come_first(shop: Shop) -> None:
    loader = loader_of(shop, replace(OPTIONS, shuffle=False))
    widths = [batch.item_ids.shape[1] for batch in loader]
    assert widths == sorted(widths)
    assert widths[0] < widths[-1]


def test_windows_of_like_length_share_a_batch(shop: Shop) -> None:
    """Only a batch in which two lengths meet may hold more padding than their difference."""
    cells = padded = 0
    for batch in loader_of(shop):
        cells += batch.is_padding.numel()
        padded += int(batch.is_padding.sum())
    assert padded / cells < 0.15


def test_rest_of_an_epoch_after_a_restart(shop: Shop) -> None:
    loader = loader_of(shop)
    whole = [list(loader), list(loader), list(loader)]
    for epoch, position in ((0, 3), (1, 0), (1, len(loader) - 1)):
        restarted = loader_of(shop)
        restarted.load_state_dict({"epoch": epoch, "position": position})
        assert_same(list(restarted), whole[epoch][position:])
        assert_same(list(restarted), whole[epoch + 1])


def test_state_after_the_last_batch_leads_into_the_next_epoch(shop: Shop) -> None:
    """A reader that knows the length does not ask for a batch after the last."""
    loader = loader_of(shop)
    batches = iter(loader)
    read = [next(batches) for _ in range(len(loader))]
    assert loader.state_dict() == {"epoch": 0, "position": len(loader)}
    restarted = loader_of(shop)
    restarted.load_state_dict(loader.state_dict())
    following = list(restarted)
    assert restarted.state_dict() == {"epoch": 1, "position": len(loader)}
    assert_same(following, list(loader))
    assert [b.basket_ids.tolist() for b in read] != [b.basket_ids.tolist() for b in following]


def test_requests_have_a_full_window_each_in_their_own_order(shop: Shop) -> None:
    requests = shop.some_requests(30)
    batch = shop.builder({})(requests)
    assert batch.num_requests == len(batch.item_ids) == len(requests)
    assert_reads_own_past(shop, batch, 0, MAX_SEQ_LEN)
    assert batch.basket_ids.tolist() == requests.baskets.tolist()


def test_user_without_history(shop: Shop) -> None:
    before = np.asarray([shop.spec.first_time_s - DAY])
    batch = shop.builder({})(Requests(before * 0, before, before, before * 0 - 1))
    assert batch.item_ids.tolist() == [[shop.log.num_items]]
    assert batch.is_padding.tolist() == [[True]]
    assert batch.request_position.tolist() == [0]
    assert len(batch.target_items) == len(batch.target_request) == 0


def test_request_without_truth_has_no_targets(shop: Shop) -> None:
    requests = shop.some_requests(3)
    baskets = np.where(np.arange(3) == 1, -1, requests.baskets)
    batch = shop.builder({})(replace(requests, baskets=baskets))
    assert set(batch.target_request.tolist()) == {0, 2}
    assert_padding_is_behind(shop, batch)


def test_batch_moves_whole(shop: Shop) -> None:
    batch = shop.builder({"own_history": OwnHistoryContext()})(shop.some_requests(3))
    moved = batch.to("meta")
    assert {tensor.device.type for tensor in as_list(moved)} == {"meta"}
    assert moved.num_requests == 3


def test_windows_that_do_not_shift_are_cut_alike_in_every_epoch(shop: Shop) -> None:
    def windows(loader: TrainingLoader) -> list[set[tuple[int, ...]]]:
        """Returns the baskets of each window, epoch by epoch."""
        found = []
        for _ in range(2):
            baskets = [
                tuple(batch.basket_ids[batch.request_window == window].tolist())
                for batch in loader
                for window in range(len(batch.item_ids))
            ]
            found.append(set(baskets))
        return found

    options = replace(OPTIONS, batch_size=10_000, min_context_share=0.0)
    first, second = windows(loader_of(shop, replace(options, shift_windows=False)))
    assert first == second
    first, second = windows(loader_of(shop, options))
    assert first != second


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_share_of_context_out_of_range(share: float) -> None:
    with pytest.raises(ValueError, match=rf"loader.min_context_share must lie in \[0, 1\], got {share}; try 0.25"):
        LoaderOptions(min_context_share=share)


def test_position_tells_nothing_of_the_basket_that_is_asked_for() -> None:
    """A window that ended at its last request would leak: the basket of that request crosses the end of the stretch."""
    log, max_seq_len = random_log(num_users=60), 12
    loader = TrainingLoader(BatchBuilder(log, {}, max_seq_len), np.arange(log.num_baskets), OPTIONS, ROLLING, 3)
    sizes = np.diff(log.basket_offsets)
    known = log.basket_offsets[:-1] - log.user_offsets[log.basket_users]
    positions, asked = [], []
    for batch in (batch for _ in range(60) for batch in loader):
        baskets = batch.basket_ids.numpy()
        full = known[baskets] >= max_seq_len
        positions.append(batch.request_position.numpy()[full])
        asked.append(sizes[baskets][full])
    position, size = np.concatenate(positions), np.concatenate(asked)
    met = np.unique(position)
    assert met.tolist() == list(range(max_seq_len - 8, max_seq_len + 1)), "every reading from a quarter of a window on"
    means = np.array([size[position == place].mean() for place in met])
    error = size.std() / np.sqrt([(position == place).sum() for place in met])
    assert (np.abs(means - size.mean()) < 4 * error).all()
