from datetime import date

import numpy as np
import polars as pl

from seasonrec.evaluation.slices.masks import OUTCOME_SLICES, flat, slice_masks

FRAME = pl.DataFrame(
    {
        "month": [11, 11, 12],
        "day": [date(2017, 11, 20), date(2017, 11, 30), date(2017, 12, 12)],
        "window": ["thanksgiving", None, "christmas"],
        "cold_user": [False, True, False],
        "items": [[4, 5], [6], [7, 8, 9]],
        "repeat": [[True, False], [True], [False, False, True]],
        "in_season": [[False, True], [False], [True, False, False]],
        "cold_item": [[False, False], [True], [False, False, False]],
        "head": [[True, True], [False], [True, False, True]],
        "gap_birth": [[False, False], [False], [False, True, False]],
    }
)


def test_every_slice_marks_its_targets():
    marked = {name: np.flatnonzero(mask).tolist() for name, mask in slice_masks(FRAME).items()}
    assert marked == {
        "all": [0, 1, 2, 3, 4, 5],
        "ordinary": [2],
        "christmas": [3, 4, 5],
        "thanksgiving": [0, 1],
        "month_11": [0, 1, 2],
        "month_12": [3, 4, 5],
        "in_season": [1, 3],
        "novel": [1, 3, 4],
        "repeat": [0, 2, 5],
        "cold_users": [2],
        "cold_items": [2],
        "head": [0, 1, 3, 5],
        "tail": [2, 4],
        "gap_births": [4],
    }


def test_a_protocol_that_reads_up_to_the_request_has_no_gap():
    assert "gap_births" not in slice_masks(FRAME.drop("gap_birth"))


def test_flat_keeps_the_order_of_the_targets():
    assert flat(FRAME, "items").tolist() == [4, 5, 6, 7, 8, 9]


def test_slices_by_outcome_are_those_that_part_a_basket():
    """Checks that every other slice holds a basket whole, and so is chosen by user and time alone."""
    basket = np.repeat(np.arange(3), FRAME["items"].list.len())
    parted = {
        name
        for name, mask in slice_masks(FRAME).items()
        if any(0 < mask[basket == row].sum() < (basket == row).sum() for row in range(3))
    }
    assert parted | {"cold_items"} == set(OUTCOME_SLICES)  # the only cold item of this frame is a basket by itself
