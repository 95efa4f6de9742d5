"""Facts that every preparation prints: first and last time, events by year, sizes, merged rows."""

from pathlib import Path

import pytest

from seasonrec.data.datasets.table import Table
from seasonrec.data.events import prepare


def lines_of(folder: Path, times: list[str], items: list[str], timezone: str = "UTC") -> list[str]:
    rows = [f"u{number % 2},{item},{time}" for number, (time, item) in enumerate(zip(times, items, strict=True))]
    (folder / "events.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]) + "\n")
    lines: list[str] = []
    prepare(Table(str(folder / "events.csv"), timezone=timezone), folder / "cache", lines.append)
    return lines


def test_first_and_last_time_years_and_sizes_are_printed(tmp_path):
    times = ["2014-12-31T23:30:00Z", "2015-06-01T10:00:00Z", "2017-01-01T00:00:00Z", "2017-01-01T00:00:00Z"]
    lines = lines_of(tmp_path, times, ["a", "b", "a", "b"], "Europe/Berlin")
    span = "  from 2015-01-01 00:30:00 to 2017-01-01 01:00:00 (Europe/Berlin), events by year: 2015 2, 2017 2"
    assert span in lines
    assert lines[-1].startswith("  4 events, 4 baskets, 2 users, 2 items, 0.0% of the rows merged, in ")
    again: list[str] = []
    prepare(Table(str(tmp_path / "events.csv"), timezone="Europe/Berlin"), tmp_path / "cache", again.append)
    assert span in again, "also from the cache"


def test_a_long_log_is_told_by_decades(tmp_path):
    lines = lines_of(tmp_path, ["1969-12-31", "1989-12-31", "1990-01-01", "2014-05-01"], list("abab"))
    assert any(line.endswith("events by decade: 1960 1, 1980 1, 1990 1, 2010 1") for line in lines)


DAILY = ["2014-07-01", "2014-07-01", "2014-12-02", "2014-12-02"] * 2
"""Days in summer and in winter, whose midnights lie at different hours of UTC."""


@pytest.mark.parametrize(
    ("times", "cause"),
    [
        (DAILY, "all times are whole days"),
        ([f"{day} 10:{day[5:7]}" for day in DAILY], "times may have lost their seconds"),
    ],
)
def test_many_merged_rows_are_told_with_their_cause(tmp_path, times, cause):
    lines = lines_of(tmp_path, times, list("abababab"), "Europe/Berlin")
    note = "4 of 8 rows (50%) have the user, item and time of another row and were merged; "
    assert any(line.startswith(f"  note: {note}{cause}: if the source has") for line in lines)


def test_few_merged_rows_are_counted_without_a_note(tmp_path):
    times = [f"2014-07-{day:02} 10:00:00" for day in range(1, 20)]
    lines = lines_of(tmp_path, [*times, "2014-07-01 10:00:00", *times[1:3]], [*"ab" * 9, "a", "a", "a", "a"])
    assert not any("were merged" in line for line in lines)
    assert "% of the rows merged, in " in lines[-1]
