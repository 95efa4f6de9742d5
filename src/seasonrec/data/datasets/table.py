"""A user's own log: events, and where there are some items and users, from CSV, TSV or Parquet files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import polars as pl

from seasonrec.data.cache import file_sha256
from seasonrec.data.checks import check_events
from seasonrec.data.item_file import items_with_events, read_items, require_overlap
from seasonrec.data.reading import (
    check_file,
    column_names,
    is_typed,
    read_columns,
    read_ids,
    read_numbers,
    require_columns,
    require_filled,
)
from seasonrec.data.tables import RuleReport, SourceTables
from seasonrec.data.times import check_time_options, read_times


@dataclass
class Table:
    """Takes files with a column mapping.

    Stated rules, each counted in the report: rows whose quantity is not above zero, or not known, are dropped; rows of
    the same user, item and second are merged and their values added; of several rows of the items' or users' file for
    one id the first is kept; texts of more than 10,000 characters are cut. Ids are read as text, as they stand: ``7``
    and ``07`` are two items.

    Args:
        events: File of events, one row an event; ``.csv``, ``.tsv`` or ``.parquet``, text in UTF-8.
        items: File of items, one row an item; None where there is none.
        users: File of users, one row a user; None where there is none.
        user_column: Column of the user, in the events and in the users' file.
        item_column: Column of the item, in the events and in the items' file.
        time_column: Column of the time.
        value_column: Column of what an event is worth, for example its price; None where there is none.
        quantity_column: Column of a quantity that must be above zero; None where there is none.
        text_column: Column of the items' text; None takes ``text`` where the file has it.
        category_column: Column of the items' category; None takes ``category`` where the file has it.
        time_format: ``s`` or ``ms`` since 1970, ``iso``, a pattern such as ``%d/%m/%Y %H:%M``, or ``auto``, which
            recognises all but patterns and says its choice.
        min_item_events: Items with fewer event rows over the whole log are left out; part of the protocol.
        country: ISO 3166 code whose holidays count; None for none.
        timezone: IANA zone in which days are counted, and of times that carry no offset.

    Raises:
        ValueError: If an option can never work.
    """

    events: str
    items: str | None = None
    users: str | None = None
    user_column: str = "user_id"
    item_column: str = "item_id"
    time_column: str = "timestamp"
    value_column: str | None = None
    quantity_column: str | None = None
    text_column: str | None = None
    category_column: str | None = None
    time_format: str = "auto"
    min_item_events: int = 1
    country: str | None = None
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        check_time_options(self.time_format, self.timezone)
        if self.min_item_events < 1:
            raise ValueError(f"min_item_events must be at least 1, got {self.min_item_events}.")
        for name in ("text_column", "category_column"):
            if getattr(self, name) is not None and self.items is None:
                raise ValueError(f"{name} is a column of the items' file, got {getattr(self, name)!r} without items.")

    def identity(self) -> dict[str, object]:
        files = {key: self._path(key) for key in ("events", "items", "users")}
        hashes = {key: None if path is None else file_sha256(path) for key, path in files.items()}
        return {"dataset": "table", "rules": 1, **asdict(self), **hashes}

    def tables(self) -> SourceTables:
        report = RuleReport()
        notes: list[str] = []
        events, item_type = self._events(report, notes)
        check_events(events, str(self._path("events")))
        items = self._items(events, item_type, report, notes)
        users = self._users(events, report)
        return SourceTables(events, items, users, tuple(report.rules), tuple(notes))

    def newer_events(self, report: RuleReport, notes: list[str]) -> pl.DataFrame:
        """The events alone, cleaned but for ``min_item_events``: they go with a log and need not be one by themselves.

        Args:
            report: Receives the cleaning rules.
            notes: Receives what a user should know.
        """
        return replace(self, min_item_events=1)._events(report, notes)[0]

    def _path(self, key: str) -> Path | None:
        name = getattr(self, key)
        if name is None:
            return None
        path = Path(name).expanduser().resolve()
        check_file(path, f"data.{key}")
        return path

    def _events(self, report: RuleReport, notes: list[str]) -> tuple[pl.DataFrame, pl.DataType | None]:
        """The cleaned events, and the type in which their file holds item ids (None in a file of text)."""
        path = self._path("events")
        assert path is not None  # events is not optional
        keys = ("user_column", "item_column", "time_column", "value_column", "quantity_column")
        mapped = [(f"data.{key}", getattr(self, key)) for key in keys if getattr(self, key) is not None]
        require_columns(path, mapped)
        raw = read_columns(path, [column for _, column in mapped])
        times_s, note = self._times(raw, path)
        notes.append(note)
        columns = {
            "user_id": read_ids(raw, self.user_column, path),
            "item_id": read_ids(raw, self.item_column, path),
            "timestamp_s": times_s,
        }
        notes.extend(_mixed_ids(columns))
        if self.value_column is not None:
            columns["value"] = read_numbers(raw, self.value_column, path).cast(pl.Float32)
        if self.quantity_column is not None:
            columns["quantity"] = read_numbers(raw, self.quantity_column, path)
        item_type = raw[self.item_column].dtype if is_typed(path) else None
        return self._kept(pl.DataFrame(columns), report), item_type

    def _times(self, raw: pl.DataFrame, path: Path) -> tuple[pl.Series, str]:
        place = f"{path}: column {self.time_column}"
        require_filled(raw[self.time_column], place)
        return read_times(raw[self.time_column], self.time_format, self.timezone, place)

    def _kept(self, events: pl.DataFrame, report: RuleReport) -> pl.DataFrame:
        if "quantity" in events.columns:
            events = report.keep(events, pl.col("quantity") > 0, "quantity not above zero, or not known")
            events = events.drop("quantity")
        if self.min_item_events == 1:
            return events
        enough = pl.len().over("item_id") >= self.min_item_events
        return report.keep(events, enough, f"item with fewer than {self.min_item_events} event rows")

    def _items(
        self, events: pl.DataFrame, item_type: pl.DataType | None, report: RuleReport, notes: list[str]
    ) -> pl.DataFrame:
        known = events["item_id"].unique().sort()
        path = self._path("items")
        if path is None:
            empty = pl.lit(None, pl.String)
            return known.to_frame().with_columns(empty.alias("text"), empty.alias("category"))
        wanted = {"text": self.text_column, "category": self.category_column}
        items = read_items(path, self.item_column, wanted, item_type, notes)
        items = report.keep(items, pl.col("item_id").is_first_distinct(), "further row of an item in the items' file")
        require_overlap(known, items["item_id"], path, "item")
        return items_with_events(known, items, notes)

    def _users(self, events: pl.DataFrame, report: RuleReport) -> pl.DataFrame | None:
        path = self._path("users")
        if path is None:
            return None
        require_columns(path, [("data.user_column", self.user_column)])
        raw = read_columns(path, column_names(path))
        ids = read_ids(raw, self.user_column, path).alias("user_id")
        users = raw.drop({self.user_column, "user_id"} & set(raw.columns)).insert_column(0, ids)
        require_overlap(events["user_id"].unique().sort(), users["user_id"], path, "user")
        return report.keep(users, pl.col("user_id").is_first_distinct(), "further row of a user in the users' file")


def _mixed_ids(columns: Mapping[str, pl.Series]) -> list[str]:
    notes = []
    for key in ("user_id", "item_id"):
        numbers = int(columns[key].str.contains(r"^\d+$").sum())
        if 0 < numbers < len(columns[key]):
            notes.append(
                f"{key}: {numbers:,} of {len(columns[key]):,} rows have a number, the others text; all are text"
            )
    return notes
