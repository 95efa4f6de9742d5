"""Reading of a user's own calendar: a table of occasions with their dates."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl

from seasonrec.data.cache import file_sha256
from seasonrec.data.calendar import EPOCH, holiday_days
from seasonrec.data.files.column_lists import listed
from seasonrec.data.files.reading import check_file, column_names, read_columns
from seasonrec.data.files.row_faults import BlankFault, RowFault
from seasonrec.data.occasions import ALWAYS_KNOWN, Occasion
from seasonrec.data.tables import DataError, RuleReport

SEPARATOR = ";"
"""Mark between the entries of a list of items or categories."""

DATES = ("date", "from", "to", "known_from")
LISTS = ("items", "categories")
COLUMNS = ("name", *DATES, *LISTS)


def calendar_path(name: str) -> Path:
    """Returns the checked path of ``data.calendar``."""
    path = Path(name).expanduser().resolve()
    check_file(path, "data.calendar")
    return path


def calendar_identity(name: str | None) -> dict[str, object]:
    """Returns what the calendar adds to the identity of a dataset: the hash of its file; nothing without one."""
    return {} if name is None else {"calendar": file_sha256(calendar_path(name))}


def read_calendar(path: Path, country: str | None, report: RuleReport) -> tuple[Occasion, ...]:
    """Reads the occasions of a file, sorted by first day and name.

    Args:
        path: File of a table, for example ``.csv``, with ``name``, and ``date`` or ``from`` and ``to`` (dates as
            ``YYYY-MM-DD``); optional ``known_from`` and lists ``items`` and ``categories``, separated by ``;``.
        country: Country of the public holidays, whose names the file must not repeat.
        report: Receives the counted rules.

    Raises:
        DataError: If a column is missing or unknown, a row breaks a rule, or each occasion became known only after it
            had ended.
    """
    frame = _dated(_checked(path), path)
    known = report.keep(
        frame, pl.struct(frame.columns).is_first_distinct(), "calendar: row that repeats an earlier one"
    )
    late = int((known["known_from"] > known["to"]).sum())
    report.count("calendar: known only after its last day, so that no request before it sees it, kept", late)
    if late == known.height:
        raise DataError(
            f"{path}: column known_from must be the date on which an occasion was announced, got dates after the end "
            f"of all {late:,} occasions, so that no request could foretell one; write the dates of the announcements, "
            "or leave the column out for a calendar that was known long before."
        )
    found = tuple(_occasion(row) for row in known.sort("from", "name", "to").iter_rows(named=True))
    _refuse_public_holidays(found, country, path)
    return found


def require_items(occasions: tuple[Occasion, ...], items: pl.DataFrame, path: Path) -> list[str]:
    """Checks that each list of items or categories matches an item; returns notes on unknown entries.

    Args:
        occasions: The occasions of the file.
        items: ``item_id`` and ``category`` of the catalogue.
        path: The file, for the message.

    Raises:
        DataError: If the lists of an occasion match no item.
    """
    ids, categories = set(items["item_id"]), set(items["category"].drop_nulls())
    unknown: set[str] = set()
    for one in occasions:
        strangers = {*(set(one.items) - ids), *(set(one.categories) - categories)}
        unknown |= strangers
        if one.lists_items and len(strangers) == len({*one.items, *one.categories}):
            raise DataError(
                f"{path}: the items and categories of {one.name!r} must be in the catalogue, got "
                f"{sorted(strangers)[:3]} and no other; write the ids as in the events, separated by {SEPARATOR!r}."
            )
    if not unknown:
        return []
    return [f"calendar: {len(unknown):,} listed items or categories are not in the catalogue, such as {min(unknown)!r}"]


def _checked(path: Path) -> pl.DataFrame:
    """Returns all columns of the file as text, after a check of their names and of the names of the occasions."""
    present = column_names(path)
    has_date, has_range = "date" in present, "from" in present and "to" in present
    strangers = [column for column in present if column not in COLUMNS]
    if "name" not in present or has_date == has_range or strangers or (has_date and {"from", "to"} & set(present)):
        raise DataError(
            f"{path} must have the columns name and date, or name, from and to, and may have known_from, items and "
            f"categories, got {listed(present)}; rename or remove columns."
        )
    raw = read_columns(path, present)
    joined = [pl.col(name).list.join(SEPARATOR) for name in LISTS if isinstance(raw.schema.get(name), pl.List)]
    frame = raw.with_columns(joined).cast(pl.String)  # a date of Parquet becomes YYYY-MM-DD
    blank = BlankFault()
    blank.look(frame["name"], 0)
    if blank.count:
        raise DataError(blank.message(f"{path}: column name"))
    return frame.with_columns(pl.col("name").str.strip_chars())


def _dated(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Returns ``name, from, to, known_from, items, categories`` with days as whole numbers and lists of text."""
    days = {name: _days(frame[name], path, may_be_empty=name == "known_from") for name in DATES if name in frame}
    first, last = (days["date"], days["date"]) if "date" in days else (days["from"], days["to"])
    fault = RowFault()
    fault.add(first > last, frame["date" if "date" in days else "from"], 0)
    if fault.count:
        raise DataError(
            f"{path}: from must not lie after to, got {fault.value!r} to {frame['to'][fault.row - 1]!r} in row "
            f"{fault.row:,} (header not counted) and {fault.count:,} such rows in all; exchange them."
        )
    always = pl.Series([ALWAYS_KNOWN] * frame.height, dtype=pl.Int64)
    known = days.get("known_from", always).fill_null(ALWAYS_KNOWN)
    empty = pl.Series([""] * frame.height)
    lists = {name: _entries(frame[name] if name in frame.columns else empty) for name in LISTS}
    return pl.DataFrame({"name": frame["name"], "from": first, "to": last, "known_from": known, **lists})


def _days(written: pl.Series, path: Path, may_be_empty: bool) -> pl.Series:
    """Returns dates as Int64 days since 1970-01-01, null where an optional one is blank."""
    texts = written.str.strip_chars().str.replace(r"[ T]00:00:00(\.0+)?$", "")  # a date-time of Parquet at midnight
    dates = texts.str.to_date("%Y-%m-%d", strict=False)
    allowed = (texts.is_null() | (texts == "")) if may_be_empty else pl.Series([False] * len(texts))
    fault = RowFault()
    fault.add(dates.is_null() & ~allowed.fill_null(False), written, 0)
    if fault.count:
        raise DataError(
            f"{path}: column {written.name} must hold dates as YYYY-MM-DD, got {fault.value!r} in row {fault.row:,} "
            f"(header not counted) and {fault.count:,} such rows in all; write for example 2025-11-11."
        )
    return dates.cast(pl.Int32).cast(pl.Int64)


def _entries(written: pl.Series) -> pl.Series:
    """Returns lists of the entries between separators, without blank ones."""
    return (
        written.fill_null("")
        .str.split(SEPARATOR)
        .list.eval(pl.element().str.strip_chars().filter(pl.element().str.strip_chars() != ""))
    )


def _occasion(row: dict[str, Any]) -> Occasion:
    days = (row[key] for key in ("from", "to", "known_from"))
    return Occasion(row["name"], *days, *(tuple(row[key]) for key in LISTS))


def _refuse_public_holidays(occasions: tuple[Occasion, ...], country: str | None, path: Path) -> None:
    dates = [EPOCH + timedelta(one.first_day) for one in occasions]
    public = holiday_days(country, dates[0].year, dates[-1].year)
    for one, date in zip(occasions, dates, strict=True):
        if one.name in public:
            raise DataError(
                f"{path}: {one.name!r} ({date}) is a public holiday of {country}, which the calendar has already; "
                "leave the row out, or give it another name."
            )
