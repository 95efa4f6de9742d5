"""Tests of the end of the readable history: rolling, refreshed on a grid of days, frozen for a part."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from small_shop import Shop

from seasonrec.batches.horizon import ROLLING, Horizon
from seasonrec.batches.requests import Requests
from seasonrec.data.calendar import local_days
from seasonrec.errors import UserError
from seasonrec.evaluation.protocol import Protocol

DAY = 86_400
ZONE = "Europe/London"
"""Clocks go back on 2011-10-30 and forward on 2011-03-27."""


def seconds(*moments: str) -> np.ndarray:
    return np.array([int(datetime.fromisoformat(one).replace(tzinfo=ZoneInfo(ZONE)).timestamp()) for one in moments])


def day_number(day: str) -> int:
    return int(np.datetime64(day, "D").astype(int))


def test_without_a_refresh_the_end_rolls_with_the_request():
    times_s = np.array([5 * DAY + 7, 9 * DAY])
    assert ROLLING.known_until_s(times_s).tolist() == times_s.tolist()
    assert Horizon(2 * DAY).known_until_s(times_s).tolist() == (times_s - 2 * DAY).tolist()
    assert Horizon(DAY // 2).known_until_days(np.array([8])).tolist() == [7]  # half a day hides the day before


def test_requests_between_two_refreshes_know_the_same_events_less_the_horizon_on_the_local_clock():
    weekly = Horizon(28 * DAY, 7, day_number("2011-10-31"), ZONE)
    asked = seconds("2011-10-31 00:00", "2011-11-06 23:59:59", "2011-11-07 00:00", "2011-10-30 23:59:59")
    until = seconds("2011-10-03 00:00", "2011-10-03 00:00", "2011-10-10 00:00", "2011-09-26 00:00")
    assert weekly.known_until_s(asked).tolist() == until.tolist()
    days = local_days(asked, ZONE)
    assert weekly.known_until_days(days).tolist() == local_days(until, ZONE).tolist()
    assert (seconds("2011-10-31 00:00") - until[0]).tolist() == [28 * DAY + 3600]  # the clock went back in between


def test_the_end_never_falls_with_time_and_never_passes_the_request():
    times_s = np.arange(*seconds("2011-03-20 00:00", "2011-11-10 00:00"), 3_571)
    for horizon in (Horizon(0, 1, 3, ZONE), Horizon(DAY, 9, 15_000, ZONE), Horizon(5 * DAY // 2, 61, 9, ZONE)):
        until_s = horizon.known_until_s(times_s)
        assert (np.diff(until_s) >= 0).all()
        assert (until_s <= times_s - horizon.seconds + 3600).all()
        assert (until_s <= times_s).all()
        assert (horizon.known_until_days(local_days(times_s, ZONE)) <= local_days(until_s, ZONE)).all()


def test_frozen_ends_all_histories_of_the_test_at_its_cut_less_the_horizon(shop: Shop):
    horizon = Protocol(refresh_days=None, horizon_days=14).horizon(shop.split, shop.log.timezone)
    requests = Requests.of_baskets(shop.log, shop.split.test_baskets(shop.log), horizon)
    assert np.unique(requests.known_until_s).tolist() == [shop.split.test_from_s - 14 * DAY]


def test_training_validation_and_test_requests_have_the_same_leads(shop: Shop):
    """The grid goes through the test cut, so that every part has each lead as often as its own days allow."""
    split, zone = shop.split, shop.log.timezone
    horizon = Protocol(refresh_days=None).horizon(split, zone)
    whole = horizon.refresh_days

    def leads(first_day: int, days: int) -> list[int]:
        """Returns how often each lead occurs among requests at noon of successive days."""
        asked = split.test_from_s + (first_day * DAY) + DAY // 2 + np.arange(days) * DAY
        lead = local_days(asked, zone) - local_days(horizon.known_until_s(asked), zone)
        return np.bincount(lead, minlength=whole).tolist()

    assert leads(0, whole) == [1] * whole
    periods = (split.test_from_s - split.train_from_s) // (whole * DAY)
    assert periods >= 3
    assert leads(-periods * whole, periods * whole) == [periods] * whole


def test_same_season_ends_the_history_where_the_test_part_ended_a_year_ago(shop: Shop):
    horizon = Protocol(refresh_days=None, horizon_days=None).horizon(shop.split, shop.log.timezone)
    last, until = local_days(
        np.array([shop.split.end_s - 1, *horizon.known_until_s(np.array([shop.split.test_from_s]))]), shop.log.timezone
    )
    assert last + 1 - until == 364
    rolling = Protocol(horizon_days=None).horizon(shop.split, shop.log.timezone)
    assert rolling == Horizon(364 * DAY)


def test_a_period_of_more_than_a_year_has_no_season_before_it(shop: Shop):
    with pytest.raises(UserError, match=r"ends histories 364 days before the end of a period, and a period has 365"):
        Protocol(refresh_days=365, horizon_days=None).horizon(shop.split, shop.log.timezone)
