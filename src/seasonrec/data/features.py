"""Names of the items' features in the table of items."""

from __future__ import annotations

from typing import Literal

import polars as pl

Kind = Literal["number", "category"]

COLUMN = "feature."
"""Beginning of the columns of features: ``feature.price`` is Float64, ``feature.brand`` String; null is missing."""


def feature_names(items: pl.DataFrame) -> tuple[str, ...]:
    """Returns the names of the features in the order of the columns."""
    return tuple(column.removeprefix(COLUMN) for column in items.columns if column.startswith(COLUMN))
