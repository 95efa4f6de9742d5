"""Values of a file's columns as ids, numbers and text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from seasonrec.data.files.id_spelling import IdRule, spelled
from seasonrec.data.files.row_faults import BlankFault, RowFault
from seasonrec.data.tables import DataError

_LARGEST = float(np.finfo(np.float32).max)


def check_ids(dtype: pl.DataType, column: str, path: Path) -> None:
    """Raises a DataError if a key column does not hold text or whole numbers."""
    if not (dtype.is_integer() or isinstance(dtype, pl.String | pl.Categorical | pl.Enum)):
        raise DataError(
            f"{path}: column {column} must hold text or whole numbers, got {dtype}; cast it in the file, "
            "so that an id is written in the same way in both files."
        )


def read_ids(frame: pl.DataFrame, column: str, path: Path, rule: IdRule = "as_is") -> pl.Series:
    """Returns a key column as strings.

    Raises:
        DataError: If a value is null or blank or has a NUL byte, or the column is of another type.
    """
    check_ids(frame.schema[column], column, path)
    ids = spelled(frame[column].cast(pl.String), rule)
    fault = BlankFault()
    fault.look(ids, 0)
    if fault.count:
        raise DataError(fault.message(f"{path}: column {column}"))
    refuse_nul(ids, f"{path}: column {column}")
    return ids


def refuse_nul(texts: pl.Series, place: str) -> None:
    """Raises a DataError if a text has a NUL byte."""
    bad = texts.filter(texts.str.contains("\0", literal=True).fill_null(False))
    if len(bad):
        raise DataError(
            f"{place} must be text, got a NUL byte in {bad[0]!r:.60} and in {len(bad):,} values in all; remove them, "
            "e.g. with tr -d '\\000'."
        )


def number_fault(path: Path, column: str, fault: RowFault) -> DataError:
    """Returns the error of a column in which a value is not a number."""
    return DataError(
        f"{path}: column {column} must hold numbers, got {fault.value!r} in row {fault.row:,} (header not counted) "
        f"and {fault.count:,} such rows in all; write them as 12.5, without currency signs or thousands separators."
    )


def size_fault(path: Path, column: str, fault: RowFault) -> DataError:
    """Returns the error of a column in which a number is too large for 32 bits."""
    return DataError(
        f"{path}: column {column} must hold finite numbers up to 3.4e38, got {fault.value!r} in row {fault.row:,} "
        f"(header not counted) and {fault.count:,} such rows in all; correct them, or leave them empty if unknown."
    )


def as_numbers(written: pl.Series, path: Path) -> pl.Series:
    """Returns a column as Float64, null where a value is empty or no number; blanks around a number do not count.

    Raises:
        DataError: If the type of the column is not one of numbers or text.
    """
    dtype = written.dtype
    if isinstance(dtype, pl.Categorical | pl.Enum):
        written = written.cast(pl.String)
    elif not (dtype.is_numeric() or dtype in (pl.String, pl.Null)):
        raise DataError(
            f"{path}: column {written.name} must hold numbers, got {dtype}; write one number a row, or take the column "
            "out of the mapping."
        )
    numbers = written.cast(pl.Float64, strict=False)
    if written.dtype == pl.String and numbers.null_count() > written.null_count():
        return written.str.strip_chars().cast(pl.Float64, strict=False)
    return numbers


def too_large(numbers: pl.Series) -> pl.Series:
    """Returns ``(E,)`` whether a number lies beyond those of 32 bits; False where it is unknown."""
    return ((numbers.abs() > _LARGEST) & numbers.is_not_nan()).fill_null(False)


def has_text(written: pl.Series) -> pl.Series:
    """Returns ``(E,)`` whether a value is neither null nor blank text."""
    if written.dtype == pl.String:
        return (written.str.strip_chars() != "").fill_null(False)
    return written.is_not_null()


def read_numbers(frame: pl.DataFrame, column: str, path: Path) -> pl.Series:
    """Returns a column as Float64, null where it is empty.

    Raises:
        DataError: If a value is not a number.
    """
    written = frame[column]
    numbers = as_numbers(written, path)
    fault = RowFault()
    fault.add(numbers.is_null() & has_text(written), written, 0)
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
