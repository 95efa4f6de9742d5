"""Reading of CSV, TSV and Parquet files; every fault is raised as a DataError."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from seasonrec.data.files.row_faults import BlankFault, RowFault
from seasonrec.data.tables import DataError

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_SUFFIXES = (".csv", ".tsv", ".parquet")

BATCH_ROWS = 1 << 20
"""Rows of a large file that are read at once."""

WHOLE_BYTES = 1 << 27
"""Size up to which a file is read at once."""


def check_file(path: Path, key: str, suffixes: Sequence[str] = _SUFFIXES) -> None:
    """Checks that a path can be a table; ``key`` is the configuration key of the path, for the message.

    Raises:
        DataError: If it is missing, a folder, of a wrong suffix, or empty.
    """
    if path.is_dir():
        raise DataError(f"{key} must name a file, got the folder {path}; give the file itself.")
    if not path.is_file():
        raise DataError(f"{key} must name a file that exists, got {path}; check the path.")
    if path.suffix.lower() not in suffixes:
        known = f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
        raise DataError(f"{key} must end in {known}, got {path}; convert or rename the file.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes); give a file with a header and rows.")


def column_names(path: Path) -> list[str]:
    """Returns the columns of a table file in file order."""
    try:
        if is_typed(path):
            return list(pl.read_parquet_schema(path))
        return pl.read_csv(path, separator=_separator(path), n_rows=0, infer_schema=False).columns
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(path, error) from error


def require_columns(path: Path, wanted: Iterable[tuple[str, str]]) -> None:
    """Checks that columns exist, given as pairs ``(configuration key, column)``.

    Raises:
        DataError: If columns are missing; the message names them all.
    """
    present = column_names(path)
    missing = [(key, column) for key, column in wanted if column not in present]
    if missing:
        faults = "; ".join(f"{key}={column}{_did_you_mean(column, present)}" for key, column in missing)
        raise DataError(f"{path} lacks a column that the mapping names: {faults}. Its columns: {', '.join(present)}.")


def known_columns(
    present: Sequence[str], names: Mapping[str, Sequence[str]], source: str, remedy: str
) -> dict[str, str]:
    """Returns the column of a published file by key.

    Args:
        present: Columns of the file.
        names: Names that each column may have, by key; the first is the publisher's.
        source: File and what it must be, for the message.
        remedy: End of the message.

    Raises:
        DataError: If columns are missing; the message names them all.
    """
    found = {key: next((name for name in choices if name in present), None) for key, choices in names.items()}
    missing = [names[key][0] for key, name in found.items() if name is None]
    if missing:
        raise DataError(
            f"{source} ({', '.join(choices[0] for choices in names.values())}), lacks {', '.join(missing)} and has "
            f"{', '.join(present)}; {remedy}."
        )
    return {key: name for key, name in found.items() if name is not None}


def read_columns(path: Path, columns: Iterable[str]) -> pl.DataFrame:
    """Reads the given columns; those of text files are strings, with empty fields as null.

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
        raise _without_rows(path)
    return frame.select(wanted)


def batches(path: Path, columns: Iterable[str]) -> Iterator[pl.DataFrame]:
    """Yields the given columns like :func:`read_columns`, in chunks of rows; a small file is one chunk.

    Raises:
        DataError: If the file cannot be read or has no rows.
    """
    wanted = list(dict.fromkeys(columns))
    if path.stat().st_size <= WHOLE_BYTES and _num_rows(path) <= BATCH_ROWS * 4:
        yield read_columns(path, wanted)
        return
    rows = 0
    try:
        for batch in _scan(path).select(wanted).collect_batches(chunk_size=BATCH_ROWS, maintain_order=True, lazy=True):
            rows += batch.height
            if batch.height:
                yield batch
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(path, error) from error
    if not rows:
        raise _without_rows(path)


def check_ids(dtype: pl.DataType, column: str, path: Path) -> None:
    """Raises a DataError if a key column does not hold text or whole numbers."""
    if not (dtype.is_integer() or isinstance(dtype, pl.String | pl.Categorical | pl.Enum)):
        raise DataError(
            f"{path}: column {column} must hold text or whole numbers, got {dtype}; cast it in the file, "
            "so that an id is written in the same way in both files."
        )


def read_ids(frame: pl.DataFrame, column: str, path: Path) -> pl.Series:
    """Returns a key column as strings.

    Raises:
        DataError: If a value is null or blank, or the column is of another type.
    """
    check_ids(frame.schema[column], column, path)
    ids = frame[column].cast(pl.String)
    fault = BlankFault()
    fault.look(ids, 0)
    if fault.count:
        raise DataError(fault.message(f"{path}: column {column}"))
    return ids


def number_fault(path: Path, column: str, fault: RowFault) -> DataError:
    """Returns the error of a column in which a value is not a number."""
    return DataError(
        f"{path}: column {column} must hold numbers, got {fault.value!r} in row {fault.row:,} (header not counted) "
        f"and {fault.count:,} such rows in all; write them as 12.5, without currency signs or thousands separators."
    )


def read_numbers(frame: pl.DataFrame, column: str, path: Path) -> pl.Series:
    """Returns a column as Float64, null where it is empty.

    Raises:
        DataError: If a value is not a number.
    """
    written = frame[column]
    numbers = written.cast(pl.Float64, strict=False)
    fault = RowFault()
    fault.add(numbers.is_null() & written.is_not_null(), written, 0)
    if fault.count:
        raise number_fault(path, column, fault)
    return numbers


def read_text(frame: pl.DataFrame, column: str, path: Path) -> pl.Series:
    """Returns a column as strings, null where the text is blank.

    Raises:
        DataError: If the column holds lists, structures or bytes.
    """
    written = frame[column]
    if written.dtype.is_nested() or written.dtype in (pl.Binary, pl.Object):
        raise DataError(f"{path}: column {column} must hold text, got {written.dtype}; join it into one string.")
    texts = written.cast(pl.String)
    return texts.set((texts.str.strip_chars() == "").fill_null(False), None)


def is_typed(path: Path) -> bool:
    """Checks whether the file stores the types of its columns; text files do not."""
    return path.suffix.lower() == ".parquet"


def _scan(path: Path) -> pl.LazyFrame:
    if is_typed(path):
        return pl.scan_parquet(path, glob=False)
    return pl.scan_csv(path, separator=_separator(path), infer_schema=False, glob=False)


def _num_rows(path: Path) -> int:
    """Returns the number of rows of a Parquet file, or 0 for a text file."""
    try:
        return int(_scan(path).select(pl.len()).collect().item()) if is_typed(path) else 0
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(path, error) from error


def _without_rows(path: Path) -> DataError:
    return DataError(f"{path} is empty: it has a header and no rows; give at least two rows.")


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
    if not is_typed(path) and "more fields" in str(error) and (wide := _first_row_too_wide(path)) is not None:
        line, fields, wanted = wide
        return DataError(
            f"{path} must have {wanted} fields in every row, as its header has, got {fields} in line {line:,}; put "
            f"fields that hold {_separator(path)!r} into double quotes."
        )
    return DataError(f"{path} cannot be read as {path.suffix.lower()[1:]}: {str(error).splitlines()[0]}.")


def _first_row_too_wide(path: Path) -> tuple[int, int, int] | None:
    """Returns the last line of the first row with too many fields, its number of fields, and that of the header."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter=_separator(path))
        wanted = len(next(rows, []))
        return next(((rows.line_num, len(row), wanted) for row in rows if len(row) > wanted), None)


def _first_line_not_utf8(path: Path) -> int | None:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return None
