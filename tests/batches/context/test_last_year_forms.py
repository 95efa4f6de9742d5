"""Lifts of last year by item, category, cluster and text against a count event by event."""

from dataclasses import replace

import numpy as np
import pytest
from random_groups import random_groups
from random_log import DAY_S, random_log

from seasonrec.batches.context.item_groups import PRIOR_EVENTS
from seasonrec.batches.context.last_year import LastYearContext, LastYearIndex
from seasonrec.batches.horizon import Horizon
from seasonrec.batches.requests import Requests

FORMS = ("text", "id", "cluster", "category")
HALF = 6


@pytest.mark.parametrize("horizon_days", [0, 30])
def test_each_form_counts_its_items_together(horizon_days: int) -> None:
    log = replace(random_log(2, num_days=500), timezone="UTC")
    groups = random_groups(log.num_items)
    index = LastYearIndex(log, LastYearContext(HALF, FORMS, groups))
    last = np.argsort(log.basket_times_s, kind="stable")[-15:]
    requests = Requests.of_baskets(log, last, Horizon(horizon_days * DAY_S))
    found = index(requests)
    table = found.lifts.numpy()[found.row.numpy()]  # (N, V, F)
    category = np.asarray(log.item_categories)
    together = {
        "id": np.eye(log.num_items),
        "category": category[:, None] == category,
        "cluster": groups.clusters[:, None] == groups.clusters,
        "text": groups.kernel.toarray(),
    }
    day = np.asarray(log.event_times_s) // DAY_S
    for row in range(len(requests)):
        known = day < requests.known_until_s[row] // DAY_S
        around = known & (np.abs(day - (requests.times_s[row] // DAY_S - 364)) <= HALF)
        sold, total = (np.bincount(log.event_items[one], minlength=log.num_items) for one in (around, known))
        share = (total + 1.0) / (total.sum() + log.num_items)
        for column, form in enumerate(FORMS):
            prior = PRIOR_EVENTS[form]
            expected = np.log((together[form] @ sold + prior) / (together[form] @ share * sold.sum() + prior))
            np.testing.assert_allclose(table[row, :, column], expected, rtol=2e-5, atol=1e-6)
    assert np.abs(table).max() > 0.1


def test_a_form_of_texts_needs_groups() -> None:
    log = random_log(2, num_days=400)
    index = LastYearIndex(log, LastYearContext(use=("text",)))
    with pytest.raises(ValueError, match="the lift by text needs groups of items, got None; give LastYearContext gr"):
        index(Requests.of_baskets(log, np.arange(3)))
