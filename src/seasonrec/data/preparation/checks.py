"""Checks of the tables of every dataset."""

from __future__ import annotations

import polars as pl

from seasonrec.data.files.column_lists import listed
from seasonrec.data.preparation.coded import CodedEvents
from seasonrec.data.tables import DataError, SourceTables

_EVENT_TYPES = {"user_id": pl.String, "item_id": pl.String, "timestamp_s": pl.Int64}

MOST_BEHAVIOURS = 100
"""Limit of the kinds of events of a log."""


def check_tables(tables: SourceTables, events: CodedEvents, place: str) -> None:
    """Checks the tables of a dataset and its numbered events; ``place`` is the source, for the message.

    Raises:
        DataError: If the events lack variety, an id occurs twice in a table, or an event's item is not in the items.
    """
    check_variety(events, place)
    check_behaviours(events, place)
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


def unread(events: pl.DataFrame) -> list[str]:
    """Returns a note on the columns of an event table that nothing reads."""
    strangers = [column for column in events.columns if column not in (*_EVENT_TYPES, "value", "behaviour")]
    return [f"columns of the events that nothing reads: {listed(strangers)}"] if strangers else []


def check_variety(events: CodedEvents, place: str) -> None:
    """Checks that a model can learn from the events.

    Raises:
        DataError: If no event is left, or if all events have the same user, item or time.
    """
    if not events.num_events:
        raise DataError(f"{place}: no event is left after cleaning; check the filters and the column mapping.")
    times_s = pl.Series([events.first_s, events.last_s]).unique()
    for name, values in {"user": events.users, "item": events.items, "time": times_s}.items():
        if len(values) == 1:
            raise DataError(
                f"{place}: a log needs at least two different {name}s, got only {values[0]!r} in all "
                f"{events.num_events:,} events; check that the {name} column is the right one."
            )


def check_behaviours(events: CodedEvents, place: str) -> None:
    """Checks that a column of behaviours names a few kinds of events.

    Raises:
        DataError: If it has more than :data:`MOST_BEHAVIOURS` names.
    """
    if len(events.behaviours) > MOST_BEHAVIOURS:
        raise DataError(
            f"{place}: the behaviours of events must be at most {MOST_BEHAVIOURS} kinds, such as view, cart and buy, "
            f"got {len(events.behaviours):,} different names, the first {events.behaviours[0]!r}; check the column."
        )


def _check_unique(table: pl.DataFrame, key: str, place: str) -> None:
    repeated = table.filter(pl.col(key).is_duplicated())
    if repeated.height:
        raise DataError(
            f"{place}: the table of {key} must hold each id once, got {repeated[key][0]!r} more than once; "
            "keep one row per id."
        )
