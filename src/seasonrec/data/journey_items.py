"""Items of Complete Journey: ids at each level, categories and texts."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from seasonrec.data.journey_words import written_out

KEYS: Mapping[str, tuple[str, ...]] = {
    "product_type": ("product_type",),
    "product_id": ("product_id",),
    "variant": ("product_category", "product_type", "brand", "package_size"),
}
"""Columns whose values identify an item, by level."""

_TEXT_PARTS: Mapping[str, tuple[str, ...]] = {
    "product_type": ("product_type", "product_category", "department"),
    "product_id": ("product_type", "product_category", "department", "brand", "package_size"),
    "variant": ("product_type", "product_category", "department", "brand", "package_size"),
}


def item_ids(level: str) -> pl.Expr:
    """Returns the column ``item_id``: the key columns joined by ``|``, empty if unknown."""
    parts = [pl.col(column).cast(pl.String).fill_null("") for column in KEYS[level]]
    return pl.concat_str(parts, separator="|").alias("item_id")


def item_table(lines: pl.DataFrame, level: str) -> pl.DataFrame:
    """Returns one row per item: ``item_id``, ``text``, ``category``, from the item's most frequent attributes.

    Args:
        lines: Purchase lines with ``item_id`` and the product columns.
        level: Definition of an item, a key of :data:`KEYS`.
    """
    items = lines.select(pl.col("item_id").unique().sort())
    for column in ("department", "product_category", "product_type", "brand", "package_size"):
        items = items.join(_most_frequent(lines, column), on="item_id", how="left", maintain_order="left")
    rows = items.iter_rows(named=True)
    texts = [written_out(str(row[part] or "") for part in _TEXT_PARTS[level]) for row in rows]
    return items.select("item_id", pl.Series("text", texts), pl.col("product_category").alias("category"))


def _most_frequent(lines: pl.DataFrame, column: str) -> pl.DataFrame:
    """Returns the most frequent known value of ``column`` for each item; ties are broken by alphabetical order."""
    counts = lines.drop_nulls(column).group_by("item_id", column).len()
    ranked = counts.sort("item_id", "len", column, descending=[False, True, False])
    return ranked.unique("item_id", keep="first", maintain_order=True).drop("len")
