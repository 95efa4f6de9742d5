"""Facts of the training part alone."""

from dataclasses import replace

import numpy as np
import pytest
from small_shop import Shop

from seasonrec.batches.audit import replace_future
from seasonrec.batches.facts import INTERVAL_PRIOR, Facts
from seasonrec.data.portions import user_portions

DAY = 86_400


def test_training_counts_equal_a_slow_count(shop: Shop) -> None:
    log = shop.log
    expected = [0] * log.num_items
    for item, time_s in zip(log.event_items.tolist(), log.event_times_s.tolist(), strict=True):
        expected[item] += time_s < shop.spec.train_until_s
    assert shop.facts().item_train_counts.tolist() == expected


def test_intervals_equal_a_slow_mean(shop: Shop) -> None:
    log = shop.log
    gaps: list[list[int]] = [[] for _ in range(log.num_items)]
    for user in range(log.num_users):
        last: dict[int, int] = {}
        for event in range(int(log.user_offsets[user]), int(log.user_offsets[user + 1])):
            item, time_s = int(log.event_items[event]), int(log.event_times_s[event])
            if time_s < shop.spec.train_until_s:
                if item in last:
                    gaps[item].append(time_s - last[item])
                last[item] = time_s
    overall = np.mean([gap for own in gaps for gap in own])
    expected = [(sum(own) + INTERVAL_PRIOR * overall) / (len(own) + INTERVAL_PRIOR) / DAY for own in gaps]
    assert min(map(len, gaps)) < max(map(len, gaps))
    np.testing.assert_allclose(shop.facts().item_interval_days, expected, rtol=1e-5)


def test_portions_of_users_do_not_show(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = shop.facts()
    monkeypatch.setattr(user_portions, "__defaults__", (50,))
    assert len(list(user_portions(shop.log))) > 5
    assert shop.facts().item_interval_days.equal(whole.item_interval_days)
    assert shop.facts().item_train_counts.equal(whole.item_train_counts)


def test_nothing_after_the_cut_is_counted(shop: Shop) -> None:
    later = replace(shop, log=replace_future(shop.log, shop.spec.train_until_s)).facts()
    assert later.item_train_counts.equal(shop.facts().item_train_counts)
    assert later.item_interval_days.equal(shop.facts().item_interval_days)
    earlier = replace(shop, log=replace_future(shop.log, shop.spec.train_until_s - 9 * DAY)).facts()
    assert not earlier.item_train_counts.equal(shop.facts().item_train_counts)


def test_interval_of_a_log_without_repeats_is_a_day(shop: Shop) -> None:
    spec = replace(shop.spec, train_until_s=shop.spec.first_time_s)
    facts = Facts.of(shop.log, spec, 8, 5, shop.cache_dir)
    assert facts.item_interval_days.tolist() == pytest.approx([1.0] * shop.log.num_items)


def test_item_without_text_is_called_by_its_id(shop: Shop) -> None:
    items = shop.log.items.with_columns(text=shop.log.items["text"].shift(1))
    facts = replace(shop, log=replace(shop.log, items=items)).facts()
    assert facts.item_texts[0] == shop.log.items["item_id"][0]
    assert facts.item_texts[1] == shop.log.items["text"][0]
