"""Calendar of requests: days, holidays, days that training has not seen, gaps."""

from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pytest
from small_shop import Shop

from seasonrec.batches.context.calendar import FAR_DAYS, CalendarContext, RequestCalendar, holiday_names
from seasonrec.batches.requests import Requests
from seasonrec.data.spec import SECONDS_PER_DAY


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def calendar_of(shop: Shop, *utc: str, user: int = 0) -> RequestCalendar:
    times = np.asarray([seconds(text) for text in utc])
    return CalendarContext().bind(shop.log, shop.spec)(Requests(times * 0 + user, times, times, times * 0 - 1))


def test_day_is_that_of_the_log_s_time_zone(shop: Shop) -> None:
    calendar = calendar_of(shop, "2017-03-12T04:59:59", "2017-03-12T05:00:00", "2017-03-13T03:59:59")
    sunday = (date(2017, 3, 12) - date(1970, 1, 1)).days
    assert calendar.day.tolist() == [sunday - 1, sunday, sunday]
    assert calendar.weekday.tolist() == [5, 6, 6]


def test_phase_turns_once_a_year(shop: Shop) -> None:
    calendar = calendar_of(shop, "2016-12-31T12:00:00", "2017-01-01T12:00:00", "2017-07-02T12:00:00")
    phase = calendar.year_phase.numpy()
    assert (phase >= 0).all()
    assert (phase < 2 * np.pi).all()
    steps = np.diff(np.unwrap(phase))
    np.testing.assert_allclose(steps, 2 * np.pi / 365.2425 * np.asarray([1, 182]), atol=1e-5)


def test_holiday_distances(shop: Shop) -> None:
    names = holiday_names(shop.spec)
    calendar = calendar_of(shop, "2017-11-20T17:00:00", "2017-11-23T17:00:00", "2017-12-27T17:00:00")
    assert calendar.holiday_days.shape == (3, len(names))
    assert calendar.holiday_days[:, names.index("Thanksgiving Day")].tolist() == [-3, 0, 34]
    assert calendar.holiday_days[:, names.index("Christmas Day")].tolist() == [-35, -32, 2]
    assert calendar.holiday_days[:, names.index("New Year's Day")].tolist() == [-42, -39, -5]
    assert calendar.holiday_days[:, names.index("Independence Day")].tolist() == [FAR_DAYS] * 3


def test_days_of_the_log_and_days_around_it_have_the_same_holidays(shop: Shop) -> None:
    """Days of the log are looked up and other days are computed; both agree, alone and together."""
    first, last = shop.spec.first_time_s, shop.spec.last_time_s
    times = np.linspace(first - 40 * SECONDS_PER_DAY, last + 40 * SECONDS_PER_DAY, 97).astype(np.int64)
    bound = CalendarContext().bind(shop.log, shop.spec)
    together = bound(Requests(times * 0, times, times, times * 0 - 1))
    inside = times[(times >= first) & (times <= last)]
    alone = bound(Requests(inside * 0, inside, inside, inside * 0 - 1))
    assert 0 < len(inside) < len(times)
    assert alone.holiday_days.equal(together.holiday_days[(times >= first) & (times <= last)])


def test_no_country_has_no_holiday_columns(shop: Shop) -> None:
    spec = replace(shop.spec, country=None)
    calendar = CalendarContext().bind(shop.log, spec)(shop.some_requests(4))
    assert calendar.holiday_days.shape == (4, 0)


@pytest.mark.parametrize(
    ("utc", "days"),
    [
        ("2017-03-01T17:00:00", 365.2425),  # the log's first day
        ("2017-05-10T17:00:00", 295.2425),
        ("2018-03-01T04:59:00", 1.2425),  # still 28 February in New York
        ("2018-03-02T17:00:00", 0.0),
        ("2019-07-04T17:00:00", 0.0),
    ],
)
def test_days_that_the_log_would_have_to_begin_earlier(shop: Shop, utc: str, days: float) -> None:
    spec = replace(shop.spec, first_time_s=seconds("2017-03-01T17:00:00"))
    times = np.asarray([seconds(utc)])
    calendar = CalendarContext().bind(shop.log, spec)(Requests(times * 0, times, times, times * 0 - 1))
    assert float(calendar.unseen_days[0]) == pytest.approx(days, abs=1e-3)


def test_a_holiday_is_known_where_the_log_holds_the_one_before(shop: Shop) -> None:
    spec = replace(shop.spec, first_time_s=seconds("2016-12-01T17:00:00"))
    times = np.asarray([seconds(text) for text in ("2017-11-20T17:00:00", "2017-12-20T17:00:00")])
    calendar = CalendarContext().bind(shop.log, spec)(Requests(times * 0, times, times, times * 0 - 1))
    names = holiday_names(spec)
    assert calendar.holiday_known[:, names.index("Thanksgiving Day")].tolist() == [0, 0]  # 24 November 2016
    assert calendar.holiday_known[:, names.index("Christmas Day")].tolist() == [1, 1]
