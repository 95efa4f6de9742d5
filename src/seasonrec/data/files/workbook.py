"""Reading of an Excel workbook whose sheets hold parts of one table."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import polars as pl

from seasonrec.data.files.column_lists import listed
from seasonrec.data.tables import DataError


def read_workbook(path: Path) -> pl.DataFrame:
    """Returns the rows of all sheets, one sheet after the other, with every value as text, as in a CSV file.

    Raises:
        DataError: If the package fastexcel is missing, the file cannot be read, or the sheets have different columns.
    """
    if importlib.util.find_spec("fastexcel") is None:
        raise DataError(f"{path}: a workbook is read by the package fastexcel; pip install 'seasonrec[excel]'.")
    try:
        sheets = pl.read_excel(path, sheet_id=0, engine="calamine", read_options={"dtypes": "string"})
    except Exception as error:  # fastexcel, an extra, raises errors of its own
        raise DataError(f"{path} cannot be read as xlsx: {str(error).splitlines()[0]}.") from error
    first, *others = sheets.items()
    for name, sheet in others:
        if sheet.columns != first[1].columns:
            raise DataError(
                f"{path}: all sheets must have the same columns, got {listed(first[1].columns)} in {first[0]} and "
                f"{listed(sheet.columns)} in {name}; remove the sheet that is no part of the table."
            )
    return pl.concat(list(sheets.values()))
