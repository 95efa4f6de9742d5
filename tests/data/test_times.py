"""Times of event files that are numbers, and times that cannot be meant."""

from datetime import date

import numpy as np
import polars as pl
import pytest
from written_times import NEW_YEAR, TIMES, read, refusal, written

from seasonrec.data.files.times import TimeReader
from seasonrec.data.tables import DataError

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


def test_the_days_of_a_spreadsheet_are_told():
    assert "they look like the days of a spreadsheet" in refusal([41_640.54, 41_700.0])


def test_numbers_of_another_unit_than_the_given_one_are_noted():
    assert "look like seconds since 1970; set data.time_format=s" in read(pl.Series(TIMES), "ms")[1]
    assert "look like" not in read(pl.Series(TIMES), "s")[1]


NO_TIMES = {
    "truth": [True, False],
    "lists": [[1], [2]],
    "structs": [{"a": 1}, {"a": 2}],
    "bytes": [b"1", b"2"],
}


@pytest.mark.parametrize("values", NO_TIMES.values(), ids=NO_TIMES)
@pytest.mark.parametrize("time_format", ["auto", "s", "%Y%m%d"])
def test_columns_that_hold_no_times_are_refused(values, time_format):
    assert "times must be numbers, text, dates or date-times, got " in refusal(values, time_format)


@pytest.mark.parametrize("value", ["nan", "inf", "1e999", "1,388,581,393", "x" * 500])
def test_words_among_times_are_named_with_their_row(value):
    for values in ([value, *TIMES], [*TIMES, value]):
        column = pl.Series([str(one) for one in values])
        assert f"got '{value[:100]}" in (message := refusal(column))
        assert len(message) < 400


def test_floats_that_are_no_numbers_are_named_with_their_row():
    for value in (float("nan"), float("inf"), float("-inf")):
        assert f"got {value} in row 61" in refusal([*map(float, TIMES), value])
