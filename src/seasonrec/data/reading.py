"""Reads a user's own CSV, TSV and Parquet files; every fault is a DataError that names file, rule, value and remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from seasonrec.data.tables import DataError

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_SUFFIXES = (*_SEPARATORS, ".parquet")


def check_file(path: Path, key: str) -> None:
    """Checks that a path can be a table at all, before its bytes are hashed or read.

    Args:
        path: The file.
        key: The configuration key that named it, for the message.

    Raises:
        DataError: If it is missing, a folder, of a wrong suffix, or of no bytes.
    """
    if path.is_dir():
        raise DataError(f"{key} must name a file, got the folder {path}; give the file itself.")
    if not path.is_file():
        raise DataError(f"{key} must name a file that exists, got {path}; check the path.")
    if path.suffix.lower() not in _SUFFIXES:
        raise DataError(f"{key} must end in .csv, .tsv or .parquet, got {path}; convert or rename the file.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes); give a file with a header and rows.")


def column_names(path: Path) -> list[str]:
    """The columns of a table file in file order."""
    try:
        if is_typed(path):
            return list(pl.read_parquet_schema(path))
        return pl.read_csv(path, separator=_separator(path), n_rows=0, infer_schema=False).columns
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(path, error) from error


def require_columns(path: Path, wanted: Iterable[tuple[str, str]]) -> None:
    """Checks that the mapped columns exist, all missing ones in one message.

    Args:
        path: The file.
        wanted: Pairs ``(configuration key, column)``.

    Raises:
        DataError: If a column is absent.
    """
    present = column_names(path)
    missing = [(key, column) for key, column in wanted if column not in present]
    if missing:
        faults = "; ".join(f"{key}={column}{_did_you_mean(column, present)}" for key, column in missing)
        raise DataError(f"{path} lacks a column that the mapping names: {faults}. Its columns: {', '.join(present)}.")


def read_columns(path: Path, columns: Iterable[str]) -> pl.DataFrame:
    """The given columns; text files give strings throughout, with empty fields as null.

    Raises:
        DataError: If the file cannot be read or has no rows.
    """
    wanted = list(dict.fromkeys(columns))
    try:
        if is_typed(path):
            frame = pl.read_parquet(path, columns=wanted)
        else:
            frame = pl.read_csv(path, separator=_separator(path), columns=wanted, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(path, error) from error
    if frame.is_empty():
        raise DataError(f"{path} is empty: it has a header and no rows; give at least two rows.")
    return frame.select(wanted)


def read_ids(frame: pl.DataFrame, column: str, path: Path) -> pl.Series:
    """A key column as strings; whole numbers and text are taken as they stand.

    Raises:
        DataError: If a value is null or blank, or the column is of another type.
    """
    ids = frame[column]
    if not (ids.dtype.is_integer() or isinstance(ids.dtype, pl.String | pl.Categorical | pl.Enum)):
        raise DataError(
            f"{path}: column {column} must hold text or whole numbers, got {ids.dtype}; cast it in the file, "
            "so that the two files write an id alike."
        )
    ids = ids.cast(pl.String)
    require_filled(ids, f"{path}: column {column}")
    return ids


def require_filled(values: pl.Series, place: str) -> None:
    """Refuses nulls and blank text in a key.

    Raises:
        DataError: With the count and the first row.
    """
    blank = values.is_null()
    if values.dtype == pl.String:
        blank = blank | (values.str.strip_chars() == "")
    if blank.any():
        raise DataError(
            f"{place} is a key and must not be null, got {int(blank.sum()):,} null or blank values, the first in row "
            f"{int(blank.arg_true()[0]) + 1:,} (header not counted); fill or remove these rows."
        )


def read_numbers(frame: pl.DataFrame, column: str, path: Path) -> pl.Series:
    """A column as Float64, null where nothing or NaN is written.

    Raises:
        DataError: If something that is written is not a number.
    """
    written = frame[column]
    numbers = written.cast(pl.Float64, strict=False)
    bad = (numbers.is_null() & written.is_not_null()).arg_true()
    if len(bad):
        row = int(bad[0])
        raise DataError(
            f"{path}: column {column} must hold numbers, got {written[row]!r} in row {row + 1:,} (header not counted) "
            f"and {len(bad):,} such rows in all; write them as 12.5, without signs of currency or thousands."
        )
    return numbers.fill_nan(None)


def read_text(frame: pl.DataFrame, column: str, path: Path) -> pl.Series:
    """A column as strings, null where blank.

    Raises:
        DataError: If the column holds lists, structures or bytes.
    """
    written = frame[column]
    if written.dtype.is_nested() or written.dtype in (pl.Binary, pl.Object):
        raise DataError(f"{path}: column {column} must hold text, got {written.dtype}; join it into one string.")
    texts = written.cast(pl.String)
    return texts.set((texts.str.strip_chars() == "").fill_null(False), None)


def is_typed(path: Path) -> bool:
    """Whether the file says the types of its columns; files of text do not."""
    return path.suffix.lower() == ".parquet"


def _separator(path: Path) -> str:
    return _SEPARATORS[path.suffix.lower()]


def _did_you_mean(name: str, present: list[str]) -> str:
    near = difflib.get_close_matches(name.lower(), [column.lower() for column in present], n=1)
    nearest = next((column for column in present if near and column.lower() == near[0]), None)
    return f" (did you mean {nearest}?)" if nearest else ""


def _unreadable(path: Path, error: Exception) -> DataError:
    line = None if is_typed(path) else _first_line_not_utf8(path)
    if line is not None:
        return DataError(
            f"{path} must be UTF-8, got other bytes in line {line:,}; convert it, e.g. "
            f"iconv -f latin1 -t utf-8 {path.name}."
        )
    return DataError(f"{path} cannot be read as {path.suffix.lower()[1:]}: {str(error).splitlines()[0]}.")


def _first_line_not_utf8(path: Path) -> int | None:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return None
