"""Items of Complete Journey: ids at each level, categories and texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import polars as pl

KEYS: Mapping[str, tuple[str, ...]] = {
    "product_type": ("product_type",),
    "product_id": ("product_id",),
    "variant": ("product_category", "product_type", "brand", "package_size"),
}
"""Columns whose values identify an item, by level."""

_TYPE_TEXT = ("product_type", "product_category", "department")
_FULL_TEXT = (*_TYPE_TEXT, "brand", "package_size")
"""Columns that make the text of an item, at the level ``product_type`` and at the others."""

_WRITTEN_OUT = {
    "bg": "bag", "bkd": "baked", "bkfst": "breakfast", "bn": "bean", "brd": "bread", "brkfst": "breakfast",
    "btl": "bottle", "btr": "butter", "carb": "carbonated", "catfd": "cat food", "chick": "chicken",
    "chix": "chicken", "choc": "chocolate", "chococlate": "chocolate", "cleang": "cleaning", "cnd": "canned",
    "conc": "concentrate", "cran": "cranberry", "crbntd": "carbonated", "crmd": "creamed",
    "disposible": "disposable", "dnr": "dinner", "dnrs": "dinners", "drng": "dressing", "drnk": "drink",
    "drnking": "drinking", "drnkng": "drinking", "drnks": "drinks", "drsng": "dressing", "dsh": "dish",
    "excp": "except", "fd": "food", "fem": "feminine", "flav": "flavored", "flvr": "flavor", "flvrd": "flavored",
    "frd": "fried", "fre": "fresh", "frz": "frozen", "frzn": "frozen", "gds": "goods", "gm": "general merchandise",
    "grnd": "ground", "hygn": "hygiene", "incl": "including", "jce": "juice", "liq": "liquid", "mach": "machine",
    "misc": "miscellaneous", "mixs": "mixes", "mlk": "milk", "mlt": "multi", "mneral": "mineral", "mnrl": "mineral",
    "mw": "microwave", "mx": "mix", "mxs": "mixes", "oj": "orange juice", "pckgd": "packaged", "pickld": "pickled",
    "pk": "pack", "pkg": "package", "pkgd": "packaged", "pkld": "pickled", "plstc": "plastic", "pnch": "punch",
    "pnt": "peanut", "prem": "premium", "prep": "prepared", "pwdr": "powder", "pwdrs": "powders",
    "refrgratd": "refrigerated", "refrig": "refrigerated", "sald": "salad", "saus": "sausage", "sft": "soft",
    "sgl": "single", "sherbts": "sherbets", "sndwch": "sandwich", "sngl": "single", "specilaty": "specialty",
    "sply": "supplies", "sprd": "spread", "srv": "serve", "stk": "stick", "suppplies": "supplies", "sv": "serve",
    "sw": "sweet", "sweetners": "sweeteners", "syrp": "syrup", "tiss": "tissue", "tort": "tortilla",
    "trsh": "trash", "veg": "vegetable", "vend": "vending", "whl": "whole", "whlsm": "wholesome", "wt": "weight",
    "wtr": "water",
}  # fmt: skip
_JOINED = {"beeralemalt": "beer ale malt", "saucessalsapicantee": "sauces salsa picante"}
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+(?:\.\d+)?%?")


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
    for column in _FULL_TEXT:
        items = items.join(_most_frequent(lines, column), on="item_id", how="left", maintain_order="left")
    rows = items.iter_rows(named=True)
    columns = _TYPE_TEXT if level == "product_type" else _FULL_TEXT
    texts = [written_out(str(row[column] or "") for column in columns) for row in rows]
    return items.select("item_id", pl.Series("text", texts), pl.col("product_category").alias("category"))


def _most_frequent(lines: pl.DataFrame, column: str) -> pl.DataFrame:
    """Returns the most frequent known value of ``column`` for each item; ties are broken by alphabetical order."""
    counts = lines.drop_nulls(column).group_by("item_id", column).len()
    ranked = counts.sort("item_id", "len", column, descending=[False, True, False])
    return ranked.unique("item_id", keep="first", maintain_order=True).drop("len")


def written_out(parts: Iterable[str]) -> str:
    """Returns the distinct parts with their abbreviations written out, separated by commas.

    Example:
        ``written_out(["SFT DRNK 2 LITER BTL CARB INCL", "SOFT DRINKS"])`` gives ``"soft drink 2 liter bottle
        carbonated including, soft drinks"``.
    """
    texts = (" ".join(_expand(word) for word in _WORD.findall(part.lower().replace("&", " and "))) for part in parts)
    return ", ".join(dict.fromkeys(text for text in texts if text))


def _expand(word: str) -> str:
    return _WRITTEN_OUT.get(word) or _JOINED.get(word, word)
