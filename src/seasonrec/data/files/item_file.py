"""Reading of an items' file, and comparison of its ids with those of the events."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from seasonrec.data.files.column_lists import listed
from seasonrec.data.files.id_spelling import IdRule, spelled
from seasonrec.data.files.reading import column_names, is_typed, read_columns, require_columns
from seasonrec.data.files.text_layout import FOUND, TextForm
from seasonrec.data.files.values import read_ids, read_text
from seasonrec.data.tables import DataError

MAX_TEXT_CHARACTERS = 10_000
"""Longer texts are cut: a language model reads the first few hundred words at most."""


def read_items(
    path: Path,
    key: str,
    wanted: Mapping[str, str | None],
    event_type: pl.DataType | None,
    notes: list[str],
    form: TextForm = FOUND,
    rule: IdRule = "as_is",
) -> pl.DataFrame:
    """Reads ``item_id`` and the wanted columns of each row as strings, null if blank.

    Args:
        path: The file.
        key: Its column of the item.
        wanted: Column of the file by column of the result. A named column must exist. None stands for the same name; a
            note reports its absence.
        event_type: Type of the item ids in the events' file, if that file has types.
        notes: Receives the notes.
        form: Form of a file of text.
        rule: Rule of reading ids.

    Raises:
        DataError: If a named column is missing, the key is null, or the key is a number here and text in the events.
    """
    named = [(f"data.{name}_column", column) for name, column in wanted.items() if column is not None]
    require_columns(path, [("data.item_column", key), *named], form)
    present = column_names(path, form)
    found = {name: column or name for name, column in wanted.items() if (column or name) in present}
    raw = read_columns(path, [key, *found.values()], form)
    if event_type is not None and is_typed(path):
        _require_same_type(event_type, raw[key].dtype, path, key)
    columns = {"item_id": read_ids(raw, key, path, rule)}
    for name in wanted:
        if name in found:
            columns[name] = read_text(raw, found[name], path)
        else:
            columns[name] = pl.Series([None] * raw.height, dtype=pl.String)
            notes.append(f"{path}: no column {name}, so the items have none; its columns: {listed(present)}")
    return pl.DataFrame(columns)


def require_overlap(known: pl.Series, ids: pl.Series, path: Path, name: str) -> None:
    """Raises a DataError if no id of a file occurs in the events."""
    if not known.is_in(ids.implode()).any():
        alike = spelled(known, "strip").is_in(spelled(ids, "strip").implode()).any()
        raise DataError(
            f"{path}: none of the {len(ids):,} {name} ids occurs in the events; the events have {known[0]!r}, this "
            f"file has {ids[0]!r}; write the ids alike in both, {'set data.ids=strip, ' if alike else ''}or map the "
            f"right {name}_column."
        )


def items_with_events(known: pl.Series, items: pl.DataFrame, notes: list[str]) -> pl.DataFrame:
    """Returns the items that have events, with long texts cut; adds notes for the user."""
    table = known.to_frame().join(items, on="item_id", how="left", maintain_order="left")
    unlisted = len(known) - int(known.is_in(items["item_id"].implode()).sum())
    unsold = items.height + unlisted - table.height
    long = int((table["text"].str.len_chars() > MAX_TEXT_CHARACTERS).sum())
    if unlisted:
        notes.append(f"{unlisted:,} items with events have no row in the items' file: no text, no category")
    if unsold:
        notes.append(f"{unsold:,} rows of the items' file have no event and are left out")
    if long:
        notes.append(f"{long:,} item texts of more than {MAX_TEXT_CHARACTERS:,} characters were cut to that length")
    return table.with_columns(pl.col("text").str.slice(0, MAX_TEXT_CHARACTERS))


def _require_same_type(events: pl.DataType, items: pl.DataType, path: Path, column: str) -> None:
    if events.is_integer() != items.is_integer():
        raise DataError(
            f"{path}: column {column} must be of one type in both files, got {items} here and {events} in the events; "
            "cast one of them."
        )
