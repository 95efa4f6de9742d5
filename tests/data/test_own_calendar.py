"""A user's own calendar: reading, counted rules, errors, distances, and inputs of a forecast."""

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from seasonrec.data.datasets.table import Table
from seasonrec.data.events import prepare
from seasonrec.data.files.calendar_file import read_calendar
from seasonrec.data.log import EventLog
from seasonrec.data.occasions import ALWAYS_KNOWN, UNKNOWN_DAYS, Occasion, Occurrences, known_inputs
from seasonrec.data.tables import DataError, RuleReport

EVENTS = "user_id,item_id,timestamp\nu1,i1,2024-10-01\nu1,i2,2024-11-11\nu2,i1,2024-12-01\n"
ITEMS = "item_id,category\ni1,toys\ni2,tea\n"


def day(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def log_of(folder: Path, calendar: str, **options: str) -> EventLog:
    events, items = write(folder / "events.csv", EVENTS), write(folder / "items.csv", ITEMS)
    own = write(folder / "calendar.csv", calendar)
    return prepare(Table(events, items, calendar=own, **options), folder / "cache", lambda line: None)


def rules(log: EventLog) -> dict[str, int]:
    return {rule["rule"]: rule["rows"] for rule in log.report["rules"] if "calendar" in rule["rule"]}


def test_rows_become_occasions_with_counted_rules(tmp_path: Path) -> None:
    log = log_of(
        tmp_path,
        "name,date,known_from,items,categories\n"
        "Singles' Day,2024-11-11,2024-09-01,i1; i9,\n"
        "Singles' Day,2023-11-11,,,\n"
        "Flood,2024-10-20,2024-10-25,,toys\n"
        "Flood,2024-10-20,2024-10-25,,toys\n",
    )
    assert log.occasions == (
        Occasion("Singles' Day", day("2023-11-11"), day("2023-11-11"), ALWAYS_KNOWN),
        Occasion("Flood", day("2024-10-20"), day("2024-10-20"), day("2024-10-25"), (), ("toys",)),
        Occasion("Singles' Day", day("2024-11-11"), day("2024-11-11"), day("2024-09-01"), ("i1", "i9")),
    )
    assert rules(log) == {
        "calendar: row that repeats an earlier one": 1,
        "calendar: known only after its last day, so that no request before it sees it, kept": 1,
    }
    assert [note for note in log.report["notes"] if note.startswith("calendar")] == [
        "calendar: 1 listed items or categories are not in the catalogue, such as 'i9'"
    ]


def test_ranges_and_parquet_with_dates_and_lists(tmp_path: Path) -> None:
    rows = {"name": ["Easter break"], "from": [date(2024, 3, 29)], "to": [date(2024, 4, 12)], "items": [["i1", "i2"]]}
    pl.DataFrame(rows).write_parquet(tmp_path / "c.parquet")
    (found,) = read_calendar(tmp_path / "c.parquet", None, RuleReport())
    assert (found.first_day, found.last_day) == (day("2024-03-29"), day("2024-04-12"))
    assert found.items == ("i1", "i2")


def test_the_calendar_is_part_of_identity_digest_and_cache(tmp_path: Path) -> None:
    plain = prepare(Table(write(tmp_path / "events.csv", EVENTS)), tmp_path / "cache", lambda line: None)
    one = log_of(tmp_path, "name,date\nSingles' Day,2024-11-11\n")
    assert "calendar" not in Table(str(tmp_path / "events.csv")).identity()
    other = log_of(tmp_path, "name,date\nSingles' Day,2024-11-12\n")
    assert len({plain.digest, one.digest, other.digest}) == 3
    assert one.folder != other.folder
    assert plain.occasions == ()


BAD = {
    "no name": ("date\n2024-11-11\n", r"must have the columns name and date, or name, from and to, .*got date;"),
    "date and range": ("name,date,from,to\na,2024-11-11,,\n", "must have the columns name and date, or"),
    "unknown column": ("name,date,know_from\na,2024-11-11,\n", "got name, date, know_from; rename or remove columns"),
    "blank name": ("name,date\n ,2024-11-11\n", r"column name is a key .* got 1 null or blank values.* row 1 "),
    "no date": (
        "name,date\na,11/11/2024\n",
        r"date must hold dates as YYYY-MM-DD, got '11/11/2024' in row 1 .*2025-11",
    ),
    "empty date": ("name,date\na,2024-11-11\nb,\n", "must hold dates as YYYY-MM-DD, got None in row 2 "),
    "bad known_from": (
        "name,date,known_from\na,2024-11-11,soon\n",
        "column known_from must hold dates.*'soon' in row 1",
    ),
    "turned range": (
        "name,from,to\na,2024-11-11,2024-11-12\nb,2024-11-11,2024-11-10\n",
        "from must not lie after to, got '2024-11-11' to '2024-11-10' in row 2 .* 1 such rows in all; exchange them",
    ),
    "known only afterwards": (
        "name,date,known_from\na,2024-11-11,2024-11-12\nb,2024-11-13,2024-12-01\n",
        "known_from must be the date on which an occasion was announced, got dates after the end of all 2 occasions",
    ),
    "items of another shop": (
        "name,date,items\na,2024-11-11,x1;x2\n",
        "of 'a' must be in the catalogue, got .'x1', 'x2'. ",
    ),
    "public holiday": (
        "name,date\nChristmas Day,2024-12-25\n",
        "'Christmas Day' .2024-12-25. is a public holiday of US",
    ),
    "no row": ("name,date\n", "is empty: it has a header and no rows"),
}


@pytest.mark.parametrize("case", BAD)
def test_errors_name_row_rule_value_and_remedy(case: str, tmp_path: Path) -> None:
    text, message = BAD[case]
    with pytest.raises(DataError, match=message):
        log_of(tmp_path, text, country="US")


def test_distances_by_hand() -> None:
    """Occurrences on days 10 and 20 to 22; the second is known from day 15 on."""
    found = Occurrences.of([Occasion("a", 20, 22, 15), Occasion("a", 10, 10), Occasion("b", 0, 0)], "a")
    days = np.array([8, 10, 14, 16, 19, 21, 25])
    assert found.distances(days, days).tolist() == [-2, 0, 4, -4, -1, 0, 3]
    assert found.distances(days, np.full(7, 14)).tolist() == [-2, 0, 4, 6, 9, 11, 15]
    assert found.seen_before(days, days, since_day=5).tolist() == [False, False, False, True, True, True, True]
    assert not found.seen_before(days, days, since_day=11).any()
    assert Occurrences.of([], "a").distances(days, days).tolist() == [UNKNOWN_DAYS] * 7


def test_known_inputs_of_a_forecast() -> None:
    own = [Occasion("Sale", day("2024-12-24"), day("2024-12-26"), day("2024-12-10")), Occasion("Flood", 0, 0)]
    early = known_inputs(own, "GB", day("2024-12-23"), day("2024-12-26"), day("2024-12-09"))
    late = known_inputs(own, "GB", day("2024-12-23"), day("2024-12-26"), day("2024-12-10"))
    assert early["date"].to_list() == [date(2024, 12, number) for number in (23, 24, 25, 26)]
    assert early["Sale"].to_list() == [0.0] * 4
    assert late["Sale"].to_list() == [0.0, 1.0, 1.0, 1.0]
    assert late["Christmas Day"].to_list() == [0.0, 0.0, 1.0, 0.0]
    assert early.columns[1:] == sorted(early.columns[1:])
