"""Generated log against its known truth."""

import numpy as np
import pytest

from seasonrec.batches.splits import TimeSplit
from seasonrec.data.datasets.synthetic import Synthetic
from seasonrec.data.events import prepare
from seasonrec.data.synthetic_truth import HOLIDAYS, holiday_date

DATA = Synthetic(num_users=300, habit_share=0.3)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return prepare(DATA, tmp_path_factory.mktemp("cache"), progress=lambda line: None)


@pytest.fixture(scope="module")
def truth():
    return DATA.truth()


def _days(log):
    return (log.event_times_s - log.event_times_s.min()) // 86_400


def test_every_item_and_user_has_events(log):
    assert (log.num_users, log.num_items) == (300, 60)
    assert log.items["item_id"][7] == "item_00007"


def test_the_peak_of_a_seasonal_item_lies_at_its_phase(log, truth):
    angle = 2 * np.pi * _days(log) / 365.2425
    everyone = np.bincount(_days(log), minlength=730)
    seasonal = np.flatnonzero((truth.amplitude > 0) & (truth.first_day == 0))
    for item in seasonal[np.argsort(-truth.base[seasonal])[:8]]:
        mine = log.event_items == item
        weight = 1.0 / everyone[_days(log)[mine]]  # share of the day's events
        found = np.angle(np.sum(weight * np.exp(1j * angle[mine]))) / (2 * np.pi) % 1
        off = abs((found - truth.phase[item] + 0.5) % 1 - 0.5)
        assert off < 0.08


def test_holiday_items_sell_before_their_day_alone(log, truth):
    for number, name in enumerate(HOLIDAYS):
        days_of = [(holiday_date(year, name) - truth.first_date).days for year in (2016, 2017)]
        near = np.any([(_days(log) <= day) & (_days(log) >= day - 21) for day in days_of], axis=0)
        mine = np.isin(log.event_items, np.flatnonzero(truth.holiday == number))
        assert np.mean(near[mine]) > 2 * np.mean(near)


def test_cold_items_appear_late(log, truth):
    cold = np.flatnonzero(truth.first_day > 0)
    assert len(cold) == 6
    first_day = (log.item_first_seen_s - log.event_times_s.min()) // 86_400
    assert np.all(first_day[cold] >= truth.first_day[cold] - 1)
    split = TimeSplit().resolve(log)
    assert np.any(log.item_first_seen_s[cold] >= split.validation_from_s)


def test_users_have_habits(log, truth):
    own = truth.favourites[np.repeat(np.arange(log.num_users), np.diff(log.user_offsets))]
    assert np.mean(np.any(own == log.event_items[:, None], axis=1)) > 0.3


def test_shares_sum_to_one_and_follow_the_weekday(log, truth):
    shares = truth.season_shares(np.arange(0, 730, 30))
    assert shares.shape == (25, 60)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert truth.weekday_share.sum() == pytest.approx(1.0)
    weekday = (log.basket_times_s // 86_400 + 3) % 7  # 1970-01-01 was a Thursday; shops open by day in UTC too
    found = np.bincount(weekday, minlength=7) / log.num_baskets
    np.testing.assert_allclose(found, truth.weekday_share, atol=0.02)


def test_the_seed_decides_everything():
    small = {"num_users": 20, "num_days": 60}
    assert Synthetic(**small).tables().events.equals(Synthetic(**small).tables().events)
    assert not Synthetic(**small, seed=1).tables().events.equals(Synthetic(**small).tables().events)
    assert Synthetic(seed=1).identity() != Synthetic().identity()


def test_thanksgiving_is_the_fourth_thursday():
    assert holiday_date(2017, "thanksgiving").isoformat() == "2017-11-23"
    assert holiday_date(2018, "thanksgiving").isoformat() == "2018-11-22"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_items": 3}, "num_items must be at least 10, got 3"),
        ({"habit_share": 1.0}, "habit_share must be from 0 to below 1, got 1.0"),
        ({"visits_per_week": 0.0}, "visits_per_week must be above 0 and at most 4, got 0.0"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Synthetic(**options)
