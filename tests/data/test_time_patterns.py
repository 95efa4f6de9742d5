"""Patterns of time: what they must name, how they are read, zones in the text, and proposals."""

import polars as pl
import pytest
from written_times import NEW_YEAR, read, refusal, written

from seasonrec.data.files.time_patterns import check_pattern
from seasonrec.data.files.times import check_time_options, time_identity

PATTERN_FAULTS = {
    "%d/%M/%Y %H:%M": "%M is minutes, %m is months; did you mean '%d/%m/%Y %H:%M'",
    "%Y-%M-%d": "%M is minutes, %m is months; did you mean '%Y-%m-%d'",
    "%d/%m/%Y %H:%m": "%m is months and occurs twice, %M is minutes; did you mean '%d/%m/%Y %H:%M'",
    "%Y-%m-%d %h:%M": "%h is the name of a month, %H is hours; did you mean '%Y-%m-%d %H:%M'",
    "%Y-%m-%D": "%m occurs twice; did you mean '%Y-%m-%d'",
    "%m/%Y": "it names no day",
    "%d/%m": "it names no year",
    "%d.%Y": "it names no month",
    "%Y-%W": "it names no month",
    "%H:%M": "it names no year",
    "%%Y-%m-%d": "it names no year",
    "%Y-%m-%d %I:%M": "hours of %I need %p .*; did you mean '%Y-%m-%d %H:%M'",
    "%Y-%m-%d %H:%M %p": "%p .* needs hours of %I; did you mean '%Y-%m-%d %I:%M %p'",
    "%Y-%m-%d %M": "minutes .* need hours",
    "%Y-%m-%d %H:%S": "seconds .* need minutes",
    "%Y-%m-%d %Q": "knows no directive %Q",
    "%Y-%m-%d %": "knows no directive %,",
    "%G-%m-%d": "cannot be read back",
}


@pytest.mark.parametrize(("pattern", "message"), PATTERN_FAULTS.items())
def test_a_pattern_that_cannot_be_right_is_refused_before_any_data_is_read(pattern, message):
    with pytest.raises(ValueError, match=f"time_format .*{message}"):
        check_time_options(pattern, "UTC")


@pytest.mark.parametrize("pattern", [key for key, message in PATTERN_FAULTS.items() if "did you mean" in message])
def test_the_proposed_pattern_is_accepted(pattern):
    with pytest.raises(ValueError, match="did you mean") as error:
        check_pattern(pattern)
    check_pattern(str(error.value).split("did you mean '")[1].split("'")[0])


PATTERNS = {
    "%d/%m/%Y %H:%M:%S": "01/01/2014 13:03:13",
    "%F %T": "2014-01-01 13:03:13",
    "%D %r": "01/01/14 01:03:13 PM",
    "%c": "Wed Jan  1 13:03:13 2014",
    "%d-%b-%Y %I:%M:%S %p": "01-JAN-2014 01:03:13 pm",
    "%d %B %Y, %l:%M:%S %P": "1 January 2014, 1:03:13 p.m.",
    "%Y-%j %H%M%S": "2014-001 130313",
    "%G-W%V-%u %H:%M:%S": "2014-W01-3 13:03:13",
    "%Y/%W/%w %X": "2014/00/3 13:03:13",
    "%Y-%m-%d %H:%M:%S.%f": "2014-01-01 13:03:13.123",
    "%Y-%m-%d %H:%M:%S,%f": "2014-01-01 13:03:13,123456",
    "%Y%m%d%H%M%S%3f": "20140101130313999",
    "%Y-%m-%d %-H:%-M:%S": " 2014-1-1 13:3:13 ",
}


@pytest.mark.parametrize(("pattern", "value"), PATTERNS.items())
def test_patterns_are_read_to_the_second(pattern, value):
    assert read(pl.Series([value]), pattern)[0] == [NEW_YEAR]


ABSOLUTE = {
    "%Y-%m-%d %H:%M:%S %z": ["2014-01-01 08:03:13 -0500", "2014-01-01 13:03:13 Z", "2014-01-01 18:33:13 +05:30"],
    "%Y-%m-%d %H:%M:%S%z": ["2014-01-01 08:03:13-05", "2014-01-01 13:03:13Z", "2014-01-01 13:03:13 GMT"],
    "%Y-%m-%dT%H:%M:%SZ": ["2014-01-01T13:03:13Z"],
    "%Y-%m-%d %H:%M:%S UTC": ["2014-01-01 13:03:13 UTC"],
    "%d/%m/%Y %H:%M:%S GMT": ["01/01/2014 13:03:13 GMT"],
    "%Y-%m-%d %H:%M:%S+00:00": ["2014-01-01 13:03:13+00:00", "2014-01-01 14:03:13+01:00"],
    "%Y%m%dT%H%M%S+0100": ["20140101T140313+0100"],
    "%Y-%m-%d %H:%M:%S %Z": [f"2014-01-01 {clock}" for clock in ("13:03:13 UTC", "13:03:13 Z", "08:03:13 EST")],
    "%Z %Y-%m-%d %H:%M:%S": ["EST 2014-01-01 08:03:13", "edt 2014-01-01 09:03:13", "UTC 2014-01-01 13:03:13"],
    "%a %b %d %H:%M:%S %Z %Y": ["Wed Jan 01 13:03:13 GMT 2014", "Wed Jan 01 08:03:13 America/New_York 2014"],
    "%Y-%m-%d %H:%M:%S EST": ["2014-01-01 08:03:13 EST"],
    "%s": ["1388581393"],
    "%s%.f": ["1388581393.75"],
}


@pytest.mark.parametrize(("pattern", "values"), ABSOLUTE.items())
def test_a_zone_that_the_text_states_is_honoured(pattern, values):
    seconds, note = read(pl.Series(values), pattern, "America/New_York")
    assert seconds == [NEW_YEAR] * len(values)
    assert f"read as {pattern}, the first" in note


@pytest.mark.parametrize("ending", ["Z", " UTC", " GMT", "+00:00", "z", " +0000"])
def test_iso_times_with_the_name_of_utc_are_absolute(ending):
    assert read(pl.Series([f"2014-01-01 13:03:13{ending}"]), timezone="America/New_York")[0] == [NEW_YEAR]


def test_times_without_a_zone_are_local():
    assert read(pl.Series(["2014-01-01 08:03:13"]), "%Y-%m-%d %H:%M:%S", "America/New_York")[0] == [NEW_YEAR]


def test_a_name_means_its_offset_in_winter_and_in_summer():
    values = ["2014-07-01 08:00:00 EST", "2014-07-01 08:00:00 EDT"]
    seconds, _ = read(pl.Series(values), "%Y-%m-%d %H:%M:%S %Z", "America/New_York")
    assert written("%d %H", seconds) == ["01 13", "01 12"]


def test_a_zone_of_another_place_is_refused_by_name():
    message = refusal([*written("%F %T UTC"), "2014-01-01 08:03:13 EST"], "%F %T %Z", "Europe/London")
    assert "%Z of time_format reads the names of UTC and of data.timezone=Europe/London, got 'EST' in row 61" in message
    assert "e.g. America/New_York, or write offsets such as -0500 and read them with %z" in message
    with pytest.raises(ValueError, match=r"the zone EST, which data.timezone=UTC does not have.*America/New_York"):
        check_time_options("%Y-%m-%d %H:%M EST", "UTC")
    check_time_options("%Y-%m-%d %H:%M EST", "America/New_York")


PROPOSED = {
    "%d/%m/%Y %H:%M": "%d/%m/%Y %H:%M",
    "%m/%d/%y": "%m/%d/%y",
    "%d/%m/%Y %I:%M %p": "%d/%m/%Y %I:%M %p",
    "%B %d, %Y": "%B %d, %Y",
    "%d.%m.%Y %H:%M:%S,250": "%d.%m.%Y %H:%M:%S,%f",
    "%a %b %d %H:%M:%S %Y": "%a %b %d %H:%M:%S %Y",
    "%a %b %d %H:%M:%S UTC %Y": "%a %b %d %H:%M:%S %Z %Y",
    "%d/%b/%Y:%H:%M:%S +0200": "%d/%b/%Y:%H:%M:%S%z",
    "%Y%m%dT%H%M%SZ": "%Y%m%dT%H%M%S%z",
    "%Y-%-m-%-d": "%Y-%m-%d",
}


@pytest.mark.parametrize(("form", "pattern"), PROPOSED.items())
def test_a_pattern_that_all_rows_fit_is_proposed_and_accepted(form, pattern):
    values = written(form)
    assert refusal(values).endswith(f"all rows fit one pattern: set data.time_format=\"'{pattern}'\".")
    assert len(read(pl.Series(values), pattern)[0]) == 60


def test_a_proposal_with_a_zone_names_the_zone():
    message = refusal(written("%Y-%m-%d %H:%M:%S EST"))
    assert message.endswith("set data.time_format=\"'%Y-%m-%d %H:%M:%S %Z'\" and data.timezone=America/New_York.")


def test_several_patterns_or_none_are_told():
    two = (
        "all rows fit 2 patterns: set the right one of data.time_format=\"'%d/%m/%Y'\", data.time_format=\"'%m/%d/%Y'\""
    )
    assert two in refusal(["01/02/2014", "03/02/2014"])
    assert "correct them or set time_format, e.g." in refusal([*written("%d/%m/%Y"), "soon"])


def test_logs_that_older_versions_read_without_the_zone_are_prepared_again():
    assert time_identity("%Y-%m-%d %H:%M UTC") == time_identity("%s") == time_identity("%F %T %Z") != {}
    for unchanged in ("auto", "iso", "s", "ms", "%d/%m/%Y %H:%M", "%Y-%m-%d %H:%M:%S %z"):
        assert time_identity(unchanged) == {}
