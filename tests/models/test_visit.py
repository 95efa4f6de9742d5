"""What the habit and the calendar read of the visit: the hour, the weekday, and the time since the last one."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from small_model import small_model
from small_shop import Shop

from seasonrec.batches.context.calendar import CalendarContext
from seasonrec.batches.context.rhythm import RHYTHM
from seasonrec.models.calendar_features import CalendarFeatures
from seasonrec.models.habit import replenishment
from seasonrec.models.habit.replenishment import ReplenishmentHabit

HOUR_S = 3600


@pytest.mark.parametrize("visit", [True, False])
def test_only_a_habit_that_reads_the_visit_reads_the_rhythm(shop: Shop, visit: bool) -> None:
    torch.manual_seed(0)
    model = small_model(shop, season={}, habit=partial(ReplenishmentHabit, visit=visit)).eval()
    builder, requests = shop.builder(model.contexts()), shop.some_requests(20)
    right = builder(requests)
    own = right.context["own_history"]
    moved = replace(right, context={**right.context, "own_history": replace(own, rhythm=-own.rhythm)})
    with torch.no_grad():
        assert model(right).equal(model(moved)) is not visit


def test_features_of_the_visit_equal_a_reference_by_request(shop: Shop) -> None:
    model = small_model(shop, season={}, habit=partial(ReplenishmentHabit, visit=True))
    own = shop.builder(model.contexts())(shop.some_requests(20)).context["own_history"]
    found = replenishment._visit(own)
    assert len(own.request) > 20
    for row in range(len(own.request)):
        mine = (own.request == own.request[row]).nonzero().squeeze(1)
        count = own.count[mine]
        rhythm = (own.rhythm[mine] * count[:, None]).sum(0) / count.sum()
        gap = float(own.since_days[mine].min())
        size = float(count.sum() / own.user_baskets[own.request[row]])
        expected = [
            *own.rhythm[row].tolist(),
            np.log(float(own.since_days[row]) + 0.01) / 2,
            *rhythm.tolist(),
            np.log(gap + 0.01) / 2,
            np.log1p(size),
            np.log1p(float(count.sum())) / 3,
        ]
        assert len(expected) == 2 * RHYTHM + 4
        np.testing.assert_allclose(found[row].numpy(), expected, rtol=1e-4, atol=1e-5)


def test_the_calendar_reads_the_hour_only_if_it_has_hours(shop: Shop) -> None:
    """All baskets of the shop are in the morning, so that three hours later it is still the same day."""
    index, requests = CalendarContext().bind(shop.log, shop.spec), shop.some_requests(10)
    first, second = index(requests), index(replace(requests, times_s=requests.times_s + 3 * HOUR_S))
    assert first.day.equal(second.day)
    for hours in (0, 2):
        features = CalendarFeatures(shop.spec, hours=hours)
        assert features.features(first).equal(features.features(second)) is (hours == 0)
    moved = (second.day_phase - first.day_phase) * 24 / (2 * np.pi)
    np.testing.assert_allclose(moved.numpy(), 3.0, atol=1e-4)
