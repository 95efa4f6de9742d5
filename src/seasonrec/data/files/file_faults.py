"""Faults of whole files, as messages for the user."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from seasonrec.data.files.column_lists import look_like_data, shown_name
from seasonrec.data.files.packing import suffix_of
from seasonrec.data.files.plain import not_encoded
from seasonrec.data.files.text_layout import CANDIDATES, Layout, spelling_of
from seasonrec.data.tables import DataError


def without_rows(path: Path) -> DataError:
    """Returns the error of a file without rows."""
    return DataError(f"{path} is empty: it has a header and no rows; give at least two rows.")


def refuse_twins(path: Path, present: Sequence[str], wanted: Iterable[str]) -> None:
    """Raises a DataError if a wanted column occurs more than once."""
    twins = [name for name in dict.fromkeys(wanted) if present.count(name) > 1]
    if twins:
        places = [str(place + 1) for place, name in enumerate(present) if name == twins[0]]
        raise DataError(
            f"{path} must have each column once, got {shown_name(twins[0])!r} as columns {' and '.join(places)}; "
            "rename one of them."
        )


def likely_cause(present: Sequence[str], header: bool) -> str:
    """Returns a sentence on why columns may be missing, or nothing."""
    if not header:
        return " With data.header=false they are numbered from 1."
    if look_like_data(present):
        return (
            " The first row looks like data: write a header, or, for events, set data.header=false and give the "
            "numbers of the columns, e.g. data.user_column=1 data.item_column=2 data.time_column=3."
        )
    other = next((mark for mark in CANDIDATES for name in present if mark in name), None)
    if other is not None:
        return f" If {other!r} separates them, set data.separator={spelling_of(other)}."
    return " If another mark separates them, set data.separator." if len(present) == 1 else ""


def unreadable(path: Path, source: Path, layout: Layout | None, error: BaseException) -> DataError:
    """Returns the error of a file that a reader gave up.

    Args:
        path: The file.
        source: The file with its plain text.
        layout: Layout of a table of text with separators.
        error: Error of the reader.
    """
    is_text = layout is not None or suffix_of(path) == ".jsonl"
    line = _first_line_not_utf8(source) if is_text else None
    if line is not None:
        return not_encoded(path, "utf-8", line)
    wide = None if layout is None or "more fields" not in str(error) else _first_row_too_wide(source, layout)
    if wide is not None and layout is not None:
        line, fields, wanted = wide
        return DataError(
            f"{path} must have {wanted} fields in every row, as its {'header' if layout.header else 'first row'} has, "
            f"got {fields} in line {line:,}; put fields that hold {layout.separator!r} into double quotes."
        )
    return DataError(f"{path} cannot be read as {suffix_of(path)[1:]}: {str(error).splitlines()[0]}.")


def _first_row_too_wide(source: Path, layout: Layout) -> tuple[int, int, int] | None:
    """Returns the last line of the first row with too many fields, its number of fields, and that of the header."""
    with source.open(encoding="utf-8", newline="") as file:
        for _ in range(layout.skip_lines):
            file.readline()
        rows = csv.reader(file, delimiter=layout.mark, quotechar=layout.quote)
        wanted = len(layout.names)
        try:
            found = ((rows.line_num + layout.skip_lines, len(row), wanted) for row in rows if len(row) > wanted)
            return next(found, None)
        except csv.Error:  # a field that is too long for this reader
            return None


def _first_line_not_utf8(path: Path) -> int | None:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return None
