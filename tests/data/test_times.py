"""Times of event files: zones, digits of dates, lost digits, stray and unknown times."""

from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest

from seasonrec.data.files.time_patterns import check_pattern
from seasonrec.data.files.times import TimeReader, check_time_options
from seasonrec.data.tables import DataError

NEW_YEAR = 1_388_581_393
"""2014-01-01 13:03:13 UTC."""

TIMES = [NEW_YEAR + 416_000 * number + 7919 * number % 3600 for number in range(60)]


def written(form: str, times: list[int] = TIMES) -> list[str]:
    return [f"{datetime.fromtimestamp(time, UTC):{form}}" for time in times]


def read(column: pl.Series, time_format: str = "auto", timezone: str = "UTC") -> tuple[list[int], str]:
    check_time_options(time_format, timezone)
    times = TimeReader(time_format, timezone, "f.csv: column t")
    return times.read(column).to_list(), "\n".join(times.finish())


def refusal(values: list[object] | pl.Series, time_format: str = "auto", timezone: str = "UTC") -> str:
    with pytest.raises(DataError) as error:
        read(pl.Series(values), time_format, timezone)
    return str(error.value)


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


DIGITS = {
    "%y%m%d%H%M": "data.time_format=%y%m%d%H%M or data.time_format=s",
    "%y%m%d%H%M%S": "data.time_format=%y%m%d%H%M%S or data.time_format=ms",
    "%Y%m%d%H%M": "data.time_format=%Y%m%d%H%M or data.time_format=ms",
    "%Y%m%d%H%M%S": "data.time_format=%Y%m%d%H%M%S.",
    "%Y%m%d%H": "data.time_format=%Y%m%d%H.",
    "%Y%m%d": "data.time_format=%Y%m%d.",
    "%y%m%d": "data.time_format=%y%m%d.",
    "%d%m%Y": "data.time_format=%d%m%Y.",
}


@pytest.mark.parametrize("kind", [pl.String, pl.Int64, pl.Float64])
@pytest.mark.parametrize(("layout", "remedy"), DIGITS.items())
def test_numbers_that_are_also_dates_are_refused_and_the_remedies_work(layout, remedy, kind):
    values = pl.Series(written(layout))
    column = values if kind == pl.String else values.cast(pl.Int64).cast(kind)
    assert f"set {remedy}" in refusal(column)
    seconds, _ = read(column, layout)
    assert written(layout, seconds) == values.to_list()
    if "or data.time_format=" in remedy:
        seconds, _ = read(column, remedy.rpartition("=")[2])
        assert seconds[0] == int(values[0]) // (1 if remedy.endswith("=s") else 1000)


def test_both_readings_are_named():
    message = refusal([int(value) for value in written("%y%m%d%H%M")])
    assert "1401011303, which is 2014-05-25 09:48:23 UTC as seconds since 1970" in message
    assert "and 2014-01-01 13:03:00 as a date of %y%m%d%H%M" in message


def test_leading_zeros_that_numbers_have_lost_are_added():
    seconds, _ = read(pl.Series([70_103, 71_014, 101_231]), "%y%m%d")
    assert written("%F", seconds) == ["2007-01-03", "2007-10-14", "2010-12-31"]
    assert "set data.time_format=%y%m%d" in refusal([70_103, 71_014, 101_231])
    assert "set data.time_format=%y%m%d%H%M" in refusal([701_031_303, 702_011_200, 1_003_312_359])


def test_seconds_since_1970_are_not_taken_for_dates():
    random = np.random.default_rng(0)
    for span_s in (600, 86_400, 30 * 86_400, 900 * 86_400):
        for start_s in random.integers(1e9, 1.7e9, 40):
            column = pl.Series(random.integers(start_s, start_s + span_s, 30))
            assert "two readings" not in read(column)[1]


def test_few_numbers_with_two_readings_are_noted():
    seconds, note = read(pl.Series([1_401_011_303, 1_401_011_304]))
    assert seconds[0] == 1_401_011_303
    assert "numbers have two readings" in note
    assert "2014-01-01 13:03:00 as a date of %y%m%d%H%M" in note


@pytest.mark.parametrize(("unit", "scale"), [("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_parts_of_seconds_are_recognised_in_numbers_and_text(unit, scale):
    numbers = pl.Series([time * scale for time in TIMES])
    for column in (numbers, numbers.cast(pl.String)):
        assert read(column)[0] == TIMES
        assert read(column, unit)[0] == TIMES


@pytest.mark.parametrize("value", ["1388581393,5", " 1388581393 ", "1388581393.99", "1.388581393E+09"])
def test_numbers_in_other_spellings(value):
    assert read(pl.Series([value, "1388581400"]))[0] == [NEW_YEAR, 1_388_581_400]


LOST = {
    "float32": (pl.Series(TIMES, dtype=pl.Float32), "s", "got 1388581376.0 in row 1 .* known to 128 s only"),
    "float32 ms": (pl.Series([1000.0 * time for time in TIMES], dtype=pl.Float32), "ms", "known to 131.072 s only"),
    "sheet ms": (
        pl.Series([f"{time * 1000:.5E}" for time in TIMES]),
        "ms",
        r"'1.38858E\+12' .* 10,000 s \(2.78 hours\)",
    ),
    "sheet s": (
        pl.Series([str(NEW_YEAR), "1.39E+09", "1.4E+09"]),
        "s",
        r"'1.39E\+09' in row 2 .* and 2 .*\(116 days\)",
    ),
}


@pytest.mark.parametrize(("column", "unit", "message"), LOST.values(), ids=LOST)
def test_lost_digits_are_refused_or_noted(column, unit, message):
    with pytest.raises(DataError, match=f"whole seconds, {message if message[:3] == 'got' else f'got .*{message}'}"):
        read(column)
    assert "times have lost digits" in read(column, unit)[1]


def test_digits_that_were_lost_before_are_noted():
    rounded = pl.Series(TIMES, dtype=pl.Float32).cast(pl.Int64)
    assert "all times are multiples of 128 s" in read(rounded)[1]
    for step_s in (1, 60, 3600, 86_400):
        assert "multiples" not in read(pl.Series([time // step_s * step_s for time in TIMES]))[1]


def test_dates_in_floats_of_32_bits_are_refused():
    column = pl.Series([20_140_701, 20_140_702], dtype=pl.Float32)
    assert "32-bit floats hold whole numbers up to 16,777,216 only, got 20140700 in row 1" in refusal(column, "%Y%m%d")


def test_two_digits_are_no_year_of_the_first_century():
    message = refusal(written("%d/%m/%y"), "%d/%m/%Y")
    assert "must not lie before 1900, got 01/01/14 = 0014-01-01 00:00:00 UTC in row 1" in message
    assert "set data.time_format=\"'%d/%m/%y'\"" in message


STRAYS = {
    "zero": ([*TIMES, 0], "auto", "got 0 = 1970-01-01 00:00:00 UTC in row 61 .* and 1 such rows.* begin on 2014-01-01"),
    "minus one": ([*TIMES, -1], "s", "got -1 = 1969-12-31 23:59:59 UTC in row 61"),
    "first day of 1970": (["1970-01-01", *written("%F")], "auto", "got 1970-01-01 = .* in row 1"),
    "first day of 1900": ([*written("%F"), "1900-01-01"], "auto", "got 1900-01-01 = .* in row 61"),
    "day 0 of a spreadsheet": ([*written("%F"), "1899-12-30"], "auto", "before 1900, got 1899-12-30 = .* in row 61"),
    "year 1": (
        [*written("%F"), "0001-01-01"],
        "auto",
        "before 1900, got 0001-01-01 = 0001-01-01 00:00:00 UTC in row 61",
    ),
    "year 9999": ([*written("%F"), "9999-12-31"], "auto", "in the future, got 9999-12-31 = .* in row 61"),
}


@pytest.mark.parametrize(("values", "time_format", "message"), STRAYS.values(), ids=STRAYS)
@pytest.mark.parametrize("timezone", ["UTC", "Europe/Berlin"])
def test_times_that_stand_for_an_unknown_one_are_refused(values, time_format, message, timezone):
    with pytest.raises(DataError, match=message if timezone == "UTC" else message.split(" = ")[0]):
        read(pl.Series(values), time_format, timezone)


def test_a_log_of_1970_and_of_1900_is_read():
    assert read(pl.Series([5, 86_400, 40_000_000]), "s")[0] == [5, 86_400, 40_000_000]
    assert len(read(pl.Series([date(1900, 1, 1), date(1900, 1, 2), date(1930, 5, 1)]))[0]) == 3


def test_rows_years_away_from_the_others_are_noted():
    note = read(pl.Series([*written("%F"), "1990-05-01"]))[1]
    assert "1 of 61 rows lie years before all others, the first 1990-05-01 = 1990-05-01 00:00:00 UTC in row 61" in note
    note = read(pl.Series(["2025-05-01", *written("%F")]))[1]
    assert "1 of 61 rows lie years after all others, the last 2025-05-01 = 2025-05-01 00:00:00 UTC in row 1" in note
    assert "1 of 61 rows lie before 1970" in read(pl.Series([*TIMES, -77_760_000]), "s")[1]
    assert "years" not in read(pl.Series(written("%F")))[1]


def test_strays_in_later_chunks_count_rows_of_the_whole_file():
    times = TimeReader("auto", "UTC", "f.csv: column t")
    for start in (0, 20, 40):
        times.read(pl.Series(TIMES[start : start + 20]))
    times.read(pl.Series([NEW_YEAR, 0]))
    with pytest.raises(DataError, match=r"got 0 = 1970-01-01 00:00:00 UTC in row 62 \(header"):
        times.finish()


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


def test_the_days_of_a_spreadsheet_are_told():
    assert "they look like the days of a spreadsheet" in refusal([41_640.54, 41_700.0])
