import numpy as np

from seasonrec.data.occasions import Occasion
from seasonrec.evaluation.protocol import MAJOR_HOLIDAYS
from seasonrec.evaluation.slices.holidays import window_names
from seasonrec.holiday_names import snake_case


def windows_of(first: str, last: str, holidays=MAJOR_HOLIDAYS, country="US") -> dict[str, tuple[str, str]]:
    """Returns the first and last day of every window."""
    dates = np.arange(np.datetime64(first), np.datetime64(last) + 1)
    names = window_names(dates.astype(np.int64), holidays, country)
    return {
        name: (str(min(found)), str(max(found)))
        for name in {n for n in names if n}
        if (found := [date for date, n in zip(dates, names, strict=True) if n == name])
    }


def test_the_windows_of_2017():
    found = windows_of("2017-10-01", "2017-12-31")
    assert found == {
        "halloween": ("2017-10-23", "2017-11-05"),
        "thanksgiving": ("2017-11-13", "2017-11-26"),
        "christmas": ("2017-12-11", "2017-12-24"),
        "after_christmas": ("2017-12-25", "2017-12-31"),
    }


def test_other_windows_of_2017_by_the_name_that_the_protocol_gives():
    found = windows_of("2017-01-01", "2017-09-30")
    assert found["easter"] == ("2017-04-03", "2017-04-16")
    assert found["valentines_day"] == ("2017-02-06", "2017-02-19")
    assert found["labor_day"] == ("2017-08-21", "2017-09-03")


def test_a_new_year_inside_the_window_does_not_cut_it():
    assert windows_of("2019-12-01", "2020-01-10")["after_christmas"] == ("2019-12-30", "2020-01-05")


def test_where_windows_overlap_the_first_named_keeps_the_day():
    christmas_first = windows_of("2017-12-01", "2017-12-31", ("Christmas", "Christmas Eve"))
    eve_first = windows_of("2017-12-01", "2017-12-31", ("Christmas Eve", "Christmas"))
    assert "christmas_eve" not in christmas_first
    assert eve_first["christmas_eve"] == ("2017-12-11", "2017-12-24")
    assert "christmas" not in eve_first
    assert eve_first["after_christmas"] == ("2017-12-25", "2017-12-31")


def test_without_a_country_every_day_is_ordinary():
    assert window_names(np.array([17_000, 17_001]), MAJOR_HOLIDAYS, None) == [None, None]


def test_a_holiday_that_the_country_does_not_keep_opens_no_window():
    assert set(windows_of("2017-01-01", "2017-12-31", country="GB")) == {"christmas", "after_christmas"}


def test_snake_case():
    assert snake_case("Valentine's Day") == "valentines_day"


def test_the_days_after_christmas_yield_to_a_named_holiday():
    found = windows_of("2017-12-01", "2017-12-31", ("Christmas", "New Year's Day"))
    assert found == {"christmas": ("2017-12-11", "2017-12-24"), "new_years_day": ("2017-12-25", "2017-12-31")}


def test_an_occasion_of_the_own_calendar_has_a_window():
    """Wednesday 2024-03-27 to Tuesday 2024-04-09: from the week before up to the Sunday of the last week."""
    first, last = (
        int((np.datetime64(day) - np.datetime64(0, "D")).astype(int)) for day in ("2024-03-27", "2024-04-09")
    )
    days = np.arange(first - 20, last + 20)
    names = window_names(days, ("Spring Break",), None, [Occasion("spring break", first, last)])
    inside = [day for day, name in zip(days, names, strict=True) if name == "spring_break"]
    assert str(np.datetime64(int(inside[0]), "D")) == "2024-03-18"
    assert str(np.datetime64(int(inside[-1]), "D")) == "2024-04-14"
    assert inside == list(range(inside[0], inside[-1] + 1))
    assert window_names(days, ("Halloween",), None, [Occasion("spring break", first, last)]) == [None] * len(days)
