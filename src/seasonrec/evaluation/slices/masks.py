"""Slices of a result: who, when and what, as masks over the targets."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def slice_masks(frame: pl.DataFrame) -> dict[str, Mask]:
    """Marks the targets of every slice.

    A slice of baskets (``ordinary``, a holiday window, ``month_MM``, ``cold_users``) marks all their targets. A slice
    of targets (``in_season``, ``novel``, ``repeat``, ``cold_items``, ``head``, ``tail``) marks some, and so restricts
    the set that a basket's metrics look for.

    Args:
        frame: A results frame, one row a basket; see :mod:`seasonrec.evaluation.results.store`.

    Returns:
        Name to ``(M,)`` bool over the targets in the frame's order. Windows and months are those that occur; the other
        slices are always there, and may be empty.
    """
    sizes = frame["items"].list.len().to_numpy()
    months = {f"month_{month:02d}": _rows(frame, pl.col("month") == month) for month in sorted(set(frame["month"]))}
    windows = {name: _rows(frame, pl.col("window") == name) for name in frame["window"].unique().drop_nulls().sort()}
    by_basket = {"ordinary": _rows(frame, pl.col("window").is_null()), **windows, **months}
    masks = {name: np.repeat(rows, sizes) for name, rows in by_basket.items()}
    repeat, head = flat(frame, "repeat"), flat(frame, "head")
    return {
        "all": np.ones(int(sizes.sum()), dtype=np.bool_),
        **masks,
        "in_season": flat(frame, "in_season"),
        "novel": ~repeat,
        "repeat": repeat,
        "cold_users": np.repeat(frame["cold_user"].to_numpy(), sizes),
        "cold_items": flat(frame, "cold_item"),
        "head": head,
        "tail": ~head,
    }


def flat(frame: pl.DataFrame, column: str) -> NDArray[Any]:
    """The values of a list column, one a target, in the frame's order."""
    return frame[column].explode().to_numpy()


def _rows(frame: pl.DataFrame, condition: pl.Expr) -> Mask:
    return frame.select(condition.fill_null(False)).to_series().to_numpy()
