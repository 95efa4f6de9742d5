"""Cells of CSV files that no spreadsheet takes for a formula."""

from __future__ import annotations

import polars as pl

FORMULA = r"^'*[=+\-@\t\r]"
"""Beginning of a text that a spreadsheet may run; behind apostrophes, of one that was escaped."""

NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def without_formulas(table: pl.DataFrame) -> pl.DataFrame:
    """Returns a table with an apostrophe before each text that a spreadsheet would run; numbers stay as they are.

    References:
        OWASP, CSV Injection.
    """
    text = pl.col(pl.String)
    is_formula = text.str.contains(FORMULA) & ~text.str.contains(NUMBER)
    return table.with_columns(pl.when(is_formula).then(pl.lit("'") + text).otherwise(text).name.keep())


def with_formulas(table: pl.DataFrame) -> pl.DataFrame:
    """Returns the table that :func:`without_formulas` was given."""
    text = pl.col(pl.String)
    is_escaped = text.str.contains(FORMULA) & text.str.starts_with("'")
    return table.with_columns(pl.when(is_escaped).then(text.str.slice(1)).otherwise(text).name.keep())
