"""Monthly origins of a walk."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from small_shop import Shop

from seasonrec.batches.splits import local_date
from seasonrec.errors import UserError
from seasonrec.runs.walk.origins import a_year_earlier, monthly

ZONE = ZoneInfo("America/New_York")


def second(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp())


def test_origins_are_the_cut_and_the_months_after_it(shop: Shop) -> None:
    split = replace(shop.split, validation_from_s=second("2017-07-17"), test_from_s=second("2017-09-18"))
    found = monthly(shop.log, split, "test", "2017-11-20", gate_weeks=2)
    assert [(one.day, one.next_day) for one in found] == [
        ("2017-09-18", "2017-10-01"),
        ("2017-10-01", "2017-11-01"),
        ("2017-11-01", "2017-11-21"),
    ]
    assert [one.from_s for one in found] == [second(one.day) for one in found]
    assert found[2].gate_from_s == second("2017-10-18")  # local days, across the change of the clock
    update = found[1].split(learned_until_s=second("2017-07-17"))
    assert (update.train_from_s, update.train_until_s) == (second("2017-07-17"), second("2017-09-17"))
    assert (update.validation_from_s, update.validation_until_s) == (second("2017-09-17"), second("2017-10-01"))
    assert (update.test_from_s, update.end_s) == (second("2017-10-01"), second("2017-11-01"))


def test_a_gap_stands_before_the_gate_and_before_the_origin(shop: Shop) -> None:
    day_s = 86_400
    split = replace(shop.split, test_from_s=second("2017-09-18"), gap_s=3 * day_s)
    (found, *_) = monthly(shop.log, split, "test", None, gate_weeks=2)
    update = found.split(split.train_until_s)
    assert update.validation_until_s == second("2017-09-15")
    assert update.validation_from_s == second("2017-09-01")
    assert update.train_until_s == second("2017-08-29")
    (without, *_) = monthly(shop.log, split, "test", None, gate_weeks=0)
    assert without.split(0).train_until_s == second("2017-09-15")


def test_a_walk_over_the_validation_part_never_reads_the_test_part(shop: Shop) -> None:
    found = monthly(shop.log, shop.split, "validation", None, gate_weeks=2)
    assert found[0].from_s == shop.split.validation_from_s
    assert found[-1].until_s == shop.split.test_from_s
    test_day = local_date(shop.split.test_from_s, shop.log)
    with pytest.raises(UserError, match=f"until must be a day of the walk, got {test_day}; the validation part runs"):
        monthly(shop.log, shop.split, "validation", test_day, gate_weeks=2)


@pytest.mark.parametrize(
    ("until", "weeks", "message"),
    [
        ("soon", 2, "until must be a day as YYYY-MM-DD, got 'soon'"),
        ("2031-01-01", 2, "until must be a day of the walk, got 2031-01-01; the test part runs from"),
        (None, -1, "gate_weeks must be at least 0, got -1; 0 lets every update go live"),
    ],
)
def test_what_cannot_be_walked_is_refused(shop: Shop, until: str | None, weeks: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        monthly(shop.log, shop.split, "test", until, weeks)


def test_the_days_of_the_previous_year(shop: Shop) -> None:
    (first, *_) = monthly(shop.log, shop.split, "test", None, 2)
    earlier = a_year_earlier(first, shop.log)
    assert earlier is not None
    assert earlier.from_s == second(str(int(first.day[:4]) - 1) + first.day[4:])
    leap = replace(first, day="2018-02-28", next_day="2020-02-29")
    found = a_year_earlier(leap, shop.log)
    assert found is not None
    assert found.until_s == second("2019-02-28")
    assert a_year_earlier(replace(first, day="2017-03-01", next_day="2017-04-01"), shop.log) is None
