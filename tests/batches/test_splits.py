"""Split by time: defaults, local midnights, and refused options."""

import re
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from seasonrec.batches.log_span import duration
from seasonrec.batches.part_facts import part_facts
from seasonrec.batches.splits import TimeSplit, spec_of
from seasonrec.data.log import EventLog
from seasonrec.evaluation.protocol import Protocol, fingerprint

DAY = 86_400


def make_log(times_s: list[int], timezone: str = "UTC") -> EventLog:
    """Returns a log of one user with one event at each time."""
    count = len(times_s)
    times = np.sort(np.array(times_s, dtype=np.int64))
    return EventLog(
        folder=Path("nowhere"),
        digest="",
        country=None,
        timezone=timezone,
        event_items=np.zeros(count, np.int32),
        event_times_s=times,
        event_values=np.full(count, np.nan, np.float32),
        user_offsets=np.array([0, count]),
        user_baskets=np.array([0, count]),
        basket_offsets=np.arange(count + 1),
        basket_users=np.zeros(count, np.int32),
        basket_times_s=times,
        item_first_seen_s=times[:1],
        item_categories=np.zeros(1, np.int32),
        items=pl.DataFrame(
            {"item_id": ["x"], "text": [None], "category": [None]}, schema_overrides={"text": pl.String}
        ),
        users=pl.DataFrame({"user_id": ["u"]}),
        report={},
    )


def local_s(text: str, timezone: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(timezone)).timestamp())


def year_2017(timezone: str = "America/New_York") -> EventLog:
    start = local_s("2017-01-01T07:00", timezone)
    return make_log([start + hour * 3600 for hour in range(0, 365 * 24, 6)], timezone)


def test_defaults_on_the_year_2017_are_mondays_at_local_midnight():
    split = TimeSplit().resolve(year_2017())
    assert split.validation_from_s == local_s("2017-10-02T00:00", "America/New_York")
    assert split.test_from_s == local_s("2017-11-06T00:00", "America/New_York")  # after the clock change


def test_a_short_log_is_cut_at_midnights():
    start = local_s("2020-03-01T00:00", "UTC")
    log = make_log([start + hour * 3600 for hour in range(20 * 24 + 1)])
    split = TimeSplit(test_fraction=0.25).resolve(log)
    assert split.test_from_s == start + 15 * DAY
    assert split.validation_from_s == start + 13 * DAY


def test_dates_are_local_days():
    log = year_2017("Australia/Sydney")
    split = TimeSplit(validation_from="2017-10-01", test_from="2017-11-15").resolve(log)
    assert split.validation_from_s == local_s("2017-10-01T00:00", "Australia/Sydney")
    assert split.test_from_s == local_s("2017-11-15T00:00", "Australia/Sydney")


def test_parts_are_disjoint_and_cover_the_log_from_train_from():
    log = year_2017()
    split = TimeSplit(train_from="2017-02-01").resolve(log)
    parts = [split.train_baskets(log), split.validation_baskets(log), split.test_baskets(log)]
    together = np.concatenate(parts)
    assert together.dtype == np.int64
    assert np.all(np.diff(together) == 1)
    assert log.basket_times_s[together[0]] >= local_s("2017-02-01T00:00", log.timezone)
    assert together[-1] == log.num_baskets - 1
    assert log.basket_times_s[parts[0]].max() < split.validation_from_s <= log.basket_times_s[parts[1]].min()


def test_only_a_test_date_moves_validation_along():
    split = TimeSplit(test_from="2017-06-05").resolve(year_2017())
    assert split.validation_from_s == local_s("2017-05-01T00:00", "America/New_York")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"test_from": "2018-06-01"},
            "split.test_from must lie inside the log.*2017-01-01 to 2018-01-01, got 2018-06-01",
        ),
        ({"validation_from": "2016-06-01"}, "split.validation_from must lie inside the log.*got 2016-06-01"),
        (
            {"validation_from": "2017-11-01", "test_from": "2017-10-01"},
            "train_from < validation_from < test_from.*11-01",
        ),
        ({"train_from": "2017-10-20"}, "train_from < validation_from < test_from, got 2017-10-20"),
    ],
)
def test_wrong_cuts_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TimeSplit(**options).resolve(year_2017())


def test_an_empty_part_is_refused():
    start = local_s("2020-01-01T12:00", "UTC")
    log = make_log([start, start + DAY, start + 30 * DAY])
    with pytest.raises(ValueError, match=r"the validation part holds no basket.*validation from 2020-01-10"):
        TimeSplit(validation_from="2020-01-10", test_from="2020-01-20").resolve(log)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_from": "6.11.2017"}, "split.test_from must be a day as YYYY-MM-DD, got '6.11.2017'"),
        ({"test_fraction": 1.5}, "split.test_fraction must lie in \\(0, 1\\), got 1.5"),
        ({"test_fraction": 0.6, "validation_fraction": 0.5}, "must leave a part for training, got 0.5 [+] 0.6"),
    ],
)
def test_wrong_options_are_refused_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        TimeSplit(**options)


def test_spec_of_a_log_of_one_year():
    log = year_2017()
    spec = spec_of(log, TimeSplit().resolve(log))
    assert (spec.num_users, spec.num_items, spec.num_categories, spec.num_baskets) == (1, 1, 1, log.num_baskets)
    assert spec.train_until_s == local_s("2017-10-02T00:00", "America/New_York")
    assert (spec.has_text, spec.has_value) == (False, False)
    assert 0.99 < spec.cycles < 1.0
    with pytest.raises(ValueError, match="at least 1 yearly cycle"):
        spec.require_last_year("a test")


def test_a_gap_belongs_to_no_part():
    log = year_2017()
    options = {"validation_from": "2017-09-01", "test_from": "2017-11-06"}
    split, whole = TimeSplit(**options, gap_days=21).resolve(log), TimeSplit(**options).resolve(log)
    assert (split.validation_from_s, split.test_from_s) == (whole.validation_from_s, whole.test_from_s)
    for part, until_s in (("training", whole.validation_from_s), ("validation", whole.test_from_s)):
        first, second = split.baskets_by_part(log)[part], whole.baskets_by_part(log)[part]
        kept = second[log.basket_times_s[second] < until_s - 21 * DAY]
        np.testing.assert_array_equal(first, kept)
        assert len(first) < len(second)
    np.testing.assert_array_equal(split.test_baskets(log), whole.test_baskets(log))
    assert spec_of(log, split).train_until_s == whole.validation_from_s - 21 * DAY
    assert split.cuts.times_s == (split.train_until_s, split.validation_until_s, split.end_s)
    again = split.training_until_test()
    assert again.train_until_s == split.validation_until_s
    assert not len(again.validation_baskets(log))


def test_the_sizes_of_the_parts_leave_the_gap_out():
    log = year_2017()
    split = TimeSplit(validation_from="2017-09-01", test_from="2017-11-06", gap_days=21).resolve(log)
    facts = part_facts(log, split).parts
    for part, baskets in split.baskets_by_part(log).items():
        assert facts[part].baskets == len(baskets)
    assert facts["validation"].last_date == "2017-10-15"  # 21 times 24 hours before 6 November, over the clock change


def test_a_gap_as_long_as_a_part_is_refused():
    with pytest.raises(ValueError, match=r"the validation part holds no basket .* 40 days of gap before each cut"):
        TimeSplit(validation_from="2017-10-02", test_from="2017-11-06", gap_days=40).resolve(year_2017())
    with pytest.raises(ValueError, match=r"split.gap_days must be at least 0, got -1"):
        TimeSplit(gap_days=-1)


def test_a_gap_is_another_protocol():
    log = year_2017()
    one, other = (TimeSplit(gap_days=gap).resolve(log) for gap in (0, 7))
    assert fingerprint(Protocol(), log, one, {}) != fingerprint(Protocol(), log, other, {})


START = local_s("2014-01-01T08:00", "America/New_York")
YEAR = [START + 5 * DAY * number for number in range(60)]

SHORT = {
    "minutes": ([START + 60 * number for number in range(60)], "the log spans 59 minutes, from 2014-01-01 08:00 to"),
    "hours": ([START + 180 * number for number in range(60)], "the log spans 3 hours, .* with 60 baskets; give a log"),
    "two days": ([START + 1800 * number for number in range(60)], "baskets on at least 3 days, or check how its times"),
}


@pytest.mark.parametrize(("times_s", "message"), SHORT.values(), ids=SHORT)
def test_a_log_that_is_too_short_is_told_as_such(times_s, message):
    with pytest.raises(ValueError, match=message) as error:
        TimeSplit().resolve(make_log(times_s, "America/New_York"))
    assert "split." not in str(error.value)


STRAY = {
    "early": ([0, *YEAR], "the log spans 45 years.* all but 1 of its 61 baskets lie on or after 2014-01-01"),
    "late": ([*YEAR, local_s("2025-05-01T00:00", "UTC")], "all but 1 of its 61 baskets lie on or before 2014-10-23"),
    "a burst at the end": ([START, *range(START + 30 * DAY, START + 31 * DAY, 900)], "all but 1 of its 97 baskets"),
}


@pytest.mark.parametrize(("times_s", "message"), STRAY.values(), ids=STRAY)
def test_strays_are_told_with_dates_that_split_the_log(times_s, message):
    log = make_log(times_s, "America/New_York")
    with pytest.raises(ValueError, match=message) as error:
        TimeSplit().resolve(log)
    dates = re.findall(r"split\.(\w+)=(\d{4}-\d\d-\d\d)", str(error.value))
    split = TimeSplit(**dict(dates)).resolve(log)
    assert all(map(len, split.baskets_by_part(log).values()))


def test_every_proposed_split_works():
    random = np.random.default_rng(0)
    for days in range(3, 40):
        times_s = START + np.unique((random.pareto(0.3, days).clip(0, 9000) * DAY).astype(np.int64))
        log = make_log(times_s.tolist(), "America/New_York")
        try:
            TimeSplit().resolve(log)
        except ValueError as error:
            if dates := dict(re.findall(r"split\.(\w+)=(\d{4}-\d\d-\d\d)", str(error))):
                assert all(map(len, TimeSplit(**dates).resolve(log).baskets_by_part(log).values()))


def test_a_key_that_the_user_set_is_named():
    log = make_log([0, *YEAR])
    with pytest.raises(ValueError, match=r"split\.test_from must lie inside the log"):
        TimeSplit(test_from="2020-01-01").resolve(log)
    with pytest.raises(ValueError, match="the validation part holds no basket"):
        TimeSplit(test_from="2000-01-01").resolve(log)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5, "5 seconds"), (119, "119 seconds"), (3540, "59 minutes"), (10_800, "3 hours"), (30 * DAY, "30 days")],
)
def test_durations_have_a_unit_that_fits(seconds, text):
    assert duration(seconds) == text
