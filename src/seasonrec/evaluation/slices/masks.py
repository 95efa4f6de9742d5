"""Slices of a result, as masks over the targets."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seasonrec.evaluation.slices.user_groups import named_groups

Mask = NDArray[np.bool_]

GAP_BIRTH = "gap_birth"
"""Column of the targets that were first sold between the end of the history and the request. Only frames of a protocol
whose histories end before their requests have it."""

OUTCOME_SLICES = ("in_season", "novel", "repeat", "cold_items", "head", "tail", "gap_births")
"""Slices of targets chosen by what was bought. A mean of a proper score over them rewards exaggeration, see
:mod:`seasonrec.evaluation.groups.bits`; so no headline shows them. All other slices are chosen by user and time."""


def slice_masks(frame: pl.DataFrame) -> dict[str, Mask]:
    """Returns the targets of every slice.

    A slice of baskets (``ordinary``, a holiday window, ``month_MM``, ``cold_users``, users with the value of an
    attribute) holds all their targets. A slice of targets (``in_season``, ``novel``, ``repeat``, ``cold_items``,
    ``head``, ``tail``, ``gap_births``) holds some of them, which restricts the targets of a basket's metrics.

    Args:
        frame: A results frame, one row per basket; see :mod:`seasonrec.evaluation.results.store`.

    Returns:
        ``(M,)`` bool by name, over the targets in the frame's order. Only holiday windows and months that occur are
        included, and ``gap_births`` only where histories end before their requests; the other slices always exist, and
        may be empty.
    """
    sizes = frame["items"].list.len().to_numpy()
    months = {f"month_{month:02d}": _rows(frame, pl.col("month") == month) for month in sorted(set(frame["month"]))}
    windows = {name: _rows(frame, pl.col("window") == name) for name in frame["window"].unique().drop_nulls().sort()}
    groups = {name: _rows(frame, rows) for name, rows in named_groups(frame)}
    by_basket = {"ordinary": _rows(frame, pl.col("window").is_null()), **windows, **months, **groups}
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
        **({"gap_births": flat(frame, GAP_BIRTH)} if GAP_BIRTH in frame.columns else {}),
    }


def flat(frame: pl.DataFrame, column: str) -> NDArray[Any]:
    """Returns the values of a list column, one per target, in the frame's order."""
    return frame[column].explode().to_numpy()


def _rows(frame: pl.DataFrame, condition: pl.Expr) -> Mask:
    return frame.select(condition.fill_null(False)).to_series().to_numpy()
