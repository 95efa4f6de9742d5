"""Checks of a dataset's tables that hold whatever the source."""

from __future__ import annotations

import polars as pl

from seasonrec.data.tables import DataError, SourceTables

_EVENT_TYPES = {"user_id": pl.String, "item_id": pl.String, "timestamp_s": pl.Int64}


def check_tables(tables: SourceTables, place: str) -> None:
    """Refuses tables from which nothing can be learned, or that break the contract of ``SourceTables``.

    Args:
        tables: What a dataset gave.
        place: The source, for the message.

    Raises:
        DataError: On the first rule that is broken.
    """
    check_events(tables.events, place)
    _check_unique(tables.items, "item_id", place)
    if tables.users is not None:
        _check_unique(tables.users, "user_id", place)
    strangers = tables.events.join(tables.items, on="item_id", how="anti")
    if strangers.height:
        raise DataError(
            f"{place}: every event's item must have a row in the item table, got {strangers.height:,} events without, "
            f"the first with item_id {strangers['item_id'][0]!r}; add the row or drop the events."
        )


def check_events(events: pl.DataFrame, place: str) -> None:
    """The part of :func:`check_tables` that reads the events alone."""
    _check_types(events, place)
    _check_variety(events, place)


def _check_unique(table: pl.DataFrame, key: str, place: str) -> None:
    repeated = table.filter(pl.col(key).is_duplicated())
    if repeated.height:
        raise DataError(
            f"{place}: the table of {key} must hold each once, got {repeated[key][0]!r} more than once; "
            "keep one row of each."
        )


def _check_types(events: pl.DataFrame, place: str) -> None:
    for column, dtype in _EVENT_TYPES.items():
        if events.schema.get(column) != dtype:
            raise DataError(f"{place}: events need a column {column} of {dtype}, got {events.schema.get(column)}.")
        if events[column].null_count():
            raise DataError(f"{place}: events have {events[column].null_count():,} nulls in {column}; drop these rows.")


def _check_variety(events: pl.DataFrame, place: str) -> None:
    if events.is_empty():
        raise DataError(f"{place}: no event is left after cleaning; check the filters and the column mapping.")
    names = {"user_id": "user", "item_id": "item", "timestamp_s": "time"}
    for column, name in names.items():
        if events[column].n_unique() == 1:
            raise DataError(
                f"{place}: a log needs at least two different {name}s, got only {events[column][0]!r} in all "
                f"{events.height:,} events; check that the {name} column is the right one."
            )
