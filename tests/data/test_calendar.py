"""Local days, weekdays and holidays."""

from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest

from seasonrec.data import calendar
from seasonrec.data.calendar import days_earlier, holiday_days, local_days, signed_distances, weekdays
from seasonrec.data.datasets.table import Table


def day_number(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("utc", "local"),
    [
        ("2017-03-12T04:59:59", "2017-03-11"),  # the night in which New York's clocks go forward: UTC-5 until 07:00
        ("2017-03-12T05:00:00", "2017-03-12"),
        ("2017-03-13T03:59:59", "2017-03-12"),  # UTC-4 from then on: midnight comes an hour earlier
        ("2017-03-13T04:00:00", "2017-03-13"),
        ("2017-11-05T03:59:59", "2017-11-04"),  # the night in which they go back
        ("2017-11-05T04:00:00", "2017-11-05"),
        ("2017-11-06T04:59:59", "2017-11-05"),
        ("2017-11-06T05:00:00", "2017-11-06"),
    ],
)
def test_local_day_around_a_change_of_clocks(utc: str, local: str) -> None:
    assert local_days(np.asarray([seconds(utc)]), "America/New_York").tolist() == [day_number(local)]


def test_local_day_east_of_greenwich_and_before_1970() -> None:
    assert local_days(np.asarray([seconds("2017-05-01T20:00:00")]), "Asia/Tokyo").tolist() == [day_number("2017-05-02")]
    assert local_days(np.asarray([-1]), "UTC").tolist() == [-1]


@pytest.mark.parametrize("zone", ["America/New_York", "America/St_Johns", "Pacific/Apia", "Asia/Kathmandu", "UTC"])
def test_days_equal_those_of_polars(zone: str) -> None:
    """Covers clocks that go back over midnight, a skipped day, changes to the second, and years beyond the table."""
    draw = np.random.default_rng(0)
    changes, _ = calendar.clock(zone)
    for first, last in ((0, 4_102_444_800), (-(10**9), 5 * 10**9)):
        near = (changes[:, None] + np.asarray([-3_601, -1, 0, 1, 59, 3_599])).ravel()
        times = np.concatenate([draw.integers(first, last, 300), near[near >= 0]])
        utc = pl.from_epoch(pl.Series(times), time_unit="s").dt.replace_time_zone("UTC")
        expected = utc.dt.convert_time_zone(zone).dt.date().to_physical().to_numpy()
        assert (local_days(times, zone) == expected).all()


@pytest.mark.parametrize("zone", ["America/New_York", "Australia/Lord_Howe", "UTC"])
@pytest.mark.parametrize("days", [0, 28, 182])
def test_earlier_days_keep_the_local_day_and_the_clock(zone: str, days: int) -> None:
    times_s = seconds("2017-10-01T00:00") + np.arange(0, 120 * 86_400, 1_799)  # over a change of clocks
    moved_s = days_earlier(times_s, days, zone)
    assert (local_days(moved_s, zone) == local_days(times_s, zone) - days).all()
    local, moved = (pl.from_epoch(pl.Series(one)).dt.convert_time_zone(zone).dt.time() for one in (times_s, moved_s))
    assert (local == moved).mean() > 0.999  # all but the hour of a change
    assert days or (moved_s == times_s).all()


def test_earlier_days_may_lie_before_1970() -> None:
    assert days_earlier(np.array([86_400]), 28, "UTC").tolist() == [-27 * 86_400]


def test_weekdays_begin_on_monday() -> None:
    days = np.asarray([day_number("2017-11-20"), day_number("2017-11-26"), -1])
    assert weekdays(days).tolist() == [0, 6, 2]  # 31 December 1969 was a Wednesday


def test_holidays_of_the_united_states() -> None:
    found = holiday_days("US", 2016, 2017)
    assert found["Thanksgiving Day"] == (day_number("2016-11-24"), day_number("2017-11-23"))
    assert found["Christmas Day"] == (day_number("2016-12-25"), day_number("2017-12-25"))
    assert found["Halloween"] == (day_number("2016-10-31"), day_number("2017-10-31"))
    assert list(found) == sorted(found)
    assert not [name for name in found if "observed" in name]


def test_no_country_has_no_holidays() -> None:
    assert holiday_days(None, 2016, 2017) == {}


def test_unknown_country_of_a_users_own_log_is_told_before_it_is_read() -> None:
    with pytest.raises(ValueError, match=r"knows, got 'Atlantis'; set data\.country"):
        Table("nowhere.csv", country="Atlantis")


def test_unknown_country() -> None:
    with pytest.raises(ValueError, match=r"country must be an ISO 3166 code .* got 'Atlantis'; set data\.country"):
        holiday_days("Atlantis", 2016, 2017)


def test_signed_distances() -> None:
    days = np.asarray([80, 99, 100, 101, 150, 151, 200, 260])
    assert signed_distances(days, (100, 200)).tolist() == [-20, -1, 0, 1, 50, -49, 0, 60]
    assert signed_distances(days, (100,)).tolist() == (days - 100).tolist()
