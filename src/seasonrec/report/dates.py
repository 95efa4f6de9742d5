"""Lists of the same users on several dates, compared: overlap, categories, and the items that rise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from seasonrec.atomic import writing
from seasonrec.data.csv_text import without_formulas
from seasonrec.report.style import INK, TEXT_WIDTH_IN, figure, save

MOST_CATEGORIES = 10
"""Categories that are drawn."""

LONGEST_NAME = 24
"""Letters of a category's name that are drawn."""

OTHERS = "others"
"""Items without a category."""

RISING = 10
"""Items per date in the table of rising items."""

HEIGHT_IN = 3.0


def overlap_table(lists: pl.DataFrame) -> pl.DataFrame:
    """Returns ``date, other, overlap``: the mean share of a user's list on one date that is also in the other's.

    Args:
        lists: ``date, user_id, item_id``, a row per listed item.
    """
    sizes = lists.group_by("date", maintain_order=True).len("size")
    pairs = lists.join(lists, on=["user_id", "item_id"], suffix="_other")
    both = pairs.group_by("date", pl.col("date_other").alias("other")).len("both")
    dates = sizes.join(sizes.select(other="date"), how="cross")
    found = dates.join(both, on=["date", "other"], how="left", maintain_order="left")
    return found.select("date", "other", overlap=pl.col("both").fill_null(0) / pl.col("size"))


def category_table(lists: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """Returns ``date, category, share``: the share of all listed places by category, largest over all dates first.

    Args:
        lists: ``date, item_id``, a row per listed item.
        items: ``item_id, category``; an item without a category counts as ``others``.
    """
    named = lists.join(items.select("item_id", pl.col("category").cast(pl.String).fill_null(OTHERS)), on="item_id")
    largest = named["category"].value_counts(sort=True)["category"].to_list()
    counts = named.group_by("date", "category").len()
    shares = counts.with_columns(share=pl.col("len") / pl.col("len").sum().over("date"))
    whole = named.select("date").unique(maintain_order=True).join(pl.DataFrame({"category": largest}), how="cross")
    found = whole.join(shares, on=["date", "category"], how="left", maintain_order="left")
    return found.select("date", "category", pl.col("share").fill_null(0.0))


def rising_table(lists: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """Returns ``date, item_id, text, share, rise``: the items that more users have on a date than on an average one.

    ``share`` is the share of users with the item in their list, ``rise`` its distance from the mean over the dates.

    Args:
        lists: ``date, user_id, item_id``, a row per listed item.
        items: ``item_id, text``.
    """
    users = lists.group_by("date", maintain_order=True).agg(users=pl.col("user_id").n_unique())
    has = (
        lists.group_by("date", "item_id")
        .len()
        .join(users, on="date")
        .with_columns(share=pl.col("len") / pl.col("users"))
    )
    rises = has.with_columns(rise=pl.col("share") - pl.col("share").sum().over("item_id") / users.height)
    best = rises.sort("rise", "item_id", descending=[True, False]).group_by("date", maintain_order=True).head(RISING)
    ordered = users.select("date").join(best, on="date", maintain_order="left_right")
    return ordered.join(items.select("item_id", "text"), on="item_id", how="left", maintain_order="left").select(
        "date", "item_id", "text", "share", "rise"
    )


def write_dates(stem: Path, lists: pl.DataFrame, items: pl.DataFrame) -> list[Path]:
    """Writes the comparison beside the lists: ``STEM_overlap.csv``, ``_categories.csv``, ``_rising.csv`` and a figure.

    Args:
        stem: Path of the lists without ending.
        lists: ``date, user_id, item_id`` in the order of the dates.
        items: ``item_id, text, category``.

    Returns:
        The files.
    """
    overlap, categories = overlap_table(lists), category_table(lists, items)
    tables = {"overlap": overlap, "categories": categories, "rising": rising_table(lists, items)}
    paths = []
    for name, table in tables.items():
        path = stem.with_name(f"{stem.name}_{name}.csv")
        with writing(path) as partial:
            without_formulas(table).write_csv(partial, float_precision=4)
        paths.append(path)
    return [*paths, *_figure(stem.with_name(f"{stem.name}_dates"), overlap, categories)]


def _figure(stem: Path, overlap: pl.DataFrame, categories: pl.DataFrame) -> list[Path]:
    dates = overlap["date"].unique(maintain_order=True).to_list()
    with_categories = categories["category"].n_unique() > 1
    with figure(TEXT_WIDTH_IN if with_categories else TEXT_WIDTH_IN / 2, HEIGHT_IN) as made:
        panels = made.subplots(1, 1 + with_categories, squeeze=False)[0]
        _draw_overlap(panels[0], overlap["overlap"].to_numpy().reshape(len(dates), len(dates)), dates)
        if with_categories:
            _draw_categories(panels[1], categories, dates)
        return save(made, stem)


def _draw_overlap(panel: Axes, overlap: np.ndarray, dates: Sequence[str]) -> None:
    panel.imshow(overlap, cmap="Blues", vmin=0.0, vmax=1.0)
    for row, column in np.ndindex(*overlap.shape):
        value = overlap[row, column]
        colour = "white" if value > 0.6 else INK
        panel.text(column, row, f"{100 * value:.0f}", ha="center", va="center", color=colour, fontsize=6)
    panel.set_xticks(range(len(dates)), dates, rotation=90)
    panel.set_yticks(range(len(dates)), dates)
    panel.set_title("items that two dates share, in % of a list")


def _draw_categories(panel: Axes, categories: pl.DataFrame, dates: Sequence[str]) -> None:
    """Draws the shares of the categories that change most, coloured by their distance from the mean over the dates."""
    change = (pl.col("share").max() - pl.col("share").min()).alias("change")
    changes = categories.group_by("category", maintain_order=True).agg(change).sort("change", descending=True)
    names = changes.head(MOST_CATEGORIES)["category"].to_list()
    shares = np.stack([categories.filter(category=name)["share"].to_numpy() for name in names])  # (categories, dates)
    rise = shares - shares.mean(axis=1, keepdims=True)
    limit = max(float(np.abs(rise).max()), 1e-9)
    panel.imshow(rise, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    for row, column in np.ndindex(*shares.shape):
        colour = "white" if abs(rise[row, column]) > 0.6 * limit else INK
        number = f"{100 * shares[row, column]:.1f}"
        panel.text(column, row, number, ha="center", va="center", color=colour, fontsize=6)
    panel.set_xticks(range(len(dates)), dates, rotation=90)
    panel.set_yticks(range(len(names)), [name[:LONGEST_NAME] for name in names])
    panel.set_title("categories that change most, in % of places")
