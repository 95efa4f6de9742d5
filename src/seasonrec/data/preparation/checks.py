"""Checks of a dataset's tables, the same for every source."""

from __future__ import annotations

import polars as pl

from seasonrec.data.preparation.coded import CodedEvents
from seasonrec.data.tables import DataError, SourceTables

_EVENT_TYPES = {"user_id": pl.String, "item_id": pl.String, "timestamp_s": pl.Int64}


def check_tables(tables: SourceTables, events: CodedEvents, place: str) -> None:
    """Checks that tables follow the contract of ``SourceTables`` and that something can be learned from them.

    Args:
        tables: Tables of a dataset.
        events: Its events with their ids numbered.
        place: The source, for the message.

    Raises:
        DataError: On the first broken rule.
    """
    check_variety(events, place)
    _check_unique(tables.items, "item_id", place)
    if tables.users is not None:
        _check_unique(tables.users, "user_id", place)
    if not events.items.is_in(tables.items["item_id"].implode()).all():
        strangers = tables.events.join(tables.items, on="item_id", how="anti", maintain_order="left")
        raise DataError(
            f"{place}: every event's item must have a row in the item table, got {strangers.height:,} events without, "
            f"the first with item_id {strangers['item_id'][0]!r}; add the row or drop the events."
        )


def check_types(events: pl.DataFrame, place: str) -> None:
    """Checks the columns of an event table.

    Raises:
        DataError: If a column is missing, of another type, or has a null.
    """
    for column, dtype in _EVENT_TYPES.items():
        if events.schema.get(column) != dtype:
            raise DataError(f"{place}: events need a column {column} of {dtype}, got {events.schema.get(column)}.")
        if events[column].null_count():
            raise DataError(f"{place}: events have {events[column].null_count():,} nulls in {column}; drop these rows.")


def check_variety(events: CodedEvents, place: str) -> None:
    """Checks that something can be learned from the events.

    Raises:
        DataError: If no event is left, or all are of one user, one item or one time.
    """
    if not events.num_events:
        raise DataError(f"{place}: no event is left after cleaning; check the filters and the column mapping.")
    found: dict[str, object] = {}
    if len(events.users) == 1:
        found["user"] = events.users[0]
    elif len(events.items) == 1:
        found["item"] = events.items[0]
    elif events.first_s == events.last_s:
        found["time"] = events.first_s
    for name, value in found.items():
        raise DataError(
            f"{place}: a log needs at least two different {name}s, got only {value!r} in all "
            f"{events.num_events:,} events; check that the {name} column is the right one."
        )


def _check_unique(table: pl.DataFrame, key: str, place: str) -> None:
    repeated = table.filter(pl.col(key).is_duplicated())
    if repeated.height:
        raise DataError(
            f"{place}: the table of {key} must hold each id once, got {repeated[key][0]!r} more than once; "
            "keep one row per id."
        )
