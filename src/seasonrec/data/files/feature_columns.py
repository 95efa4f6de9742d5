"""Reading of the items' features: columns of numbers or categories of the items' file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from seasonrec.data.features import COLUMN, Kind
from seasonrec.data.files.reading import read_columns, require_columns
from seasonrec.data.files.row_faults import RowFault
from seasonrec.data.files.text_layout import FOUND, TextForm
from seasonrec.data.files.values import number_fault, read_text
from seasonrec.data.tables import DataError

MOSTLY = 0.9
"""Share of numbers from which a column of text counts as numbers with faults, not as categories."""


def read_features(
    path: Path, names: Sequence[str], kinds: Mapping[str, Kind], notes: list[str], form: TextForm = FOUND
) -> list[pl.Series]:
    """Reads columns of the items' file: Float64 for numbers, String for categories, null where the value is blank.

    A column is one of numbers if all of its values are numbers. ``kinds`` says it where the values do not, for example
    for the number of a brand.

    Args:
        path: The file.
        names: Columns.
        kinds: ``number`` or ``category`` by column.
        notes: Receives a note on the kind and the missing values of each column.
        form: Form of a file of text.

    Raises:
        DataError: If a column is missing or empty, or a value of a column of numbers is no finite number.
    """
    require_columns(path, [("data.features", name) for name in names], form)
    raw = read_columns(path, names, form)
    found = []
    for name in names:
        values = _values(raw[name], kinds.get(name), path)
        missing = values.null_count()
        if missing == len(values):
            raise DataError(f"{path}: column {name} must hold values, got none; take it out of data.features.")
        kind = "numbers" if values.dtype == pl.Float64 else f"{values.drop_nulls().n_unique():,} categories"
        notes.append(f"{path}: feature {name} has {kind}; it is missing in {missing:,} of {len(values):,} rows")
        found.append(values.alias(COLUMN + name))
    return found


def _values(written: pl.Series, kind: Kind | None, path: Path) -> pl.Series:
    texts = read_text(pl.DataFrame([written]), written.name, path)
    numbers = texts.str.strip_chars().cast(pl.Float64, strict=False)
    known, readable = len(texts) - texts.null_count(), len(numbers) - numbers.null_count()
    if kind == "category" or (kind is None and readable < MOSTLY * known):
        return texts
    fault = RowFault()
    fault.add((numbers.is_null() & texts.is_not_null()) | ~numbers.is_finite().fill_null(True), written, 0)
    if fault.count:
        message = str(number_fault(path, written.name, fault)).removesuffix(".")
        raise DataError(f"{message}; or say data.feature_kinds={{{written.name}: category}}.")
    return numbers
