"""Rules of gaps and outliers, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from seasonrec.errors import UserError
from seasonrec.forecast.cleaning import cleaned, fill_gaps, hampel

CLOSED = np.array([False, False, True, True, False, True])
VALUES = np.array([[4.0, 8.0, 0.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0, 6.0, 0.0]])
FIRST = np.array([0, 4])


@pytest.mark.parametrize(
    ("rule", "first_series", "second_series"),
    [
        ("zero", [4, 8, 0, 0, 2, 0], [0, 0, 0, 0, 6, 0]),
        ("mean", [4, 8, 14 / 3, 14 / 3, 2, 14 / 3], [0, 0, 0, 0, 6, 6]),
        ("interpolate", [4, 8, 6, 4, 2, 2], [0, 0, 0, 0, 6, 6]),
        ("seasonal", [4, 8, 4, 8, 2, 8], [0, 0, 0, 0, 6, 6]),  # a cycle of two periods; the second series has none
    ],
)
def test_gaps(rule: str, first_series: list[float], second_series: list[float]) -> None:
    filled, short = fill_gaps(VALUES, FIRST, CLOSED, rule, cycle=2)  # type: ignore[arg-type]
    np.testing.assert_allclose(filled, [first_series, second_series])
    assert short == (1 if rule == "seasonal" else 0)
    assert VALUES[0, 2] == 0, "the given array stays"


def test_filled_values_are_counted_from_the_first_sale_on() -> None:
    assert cleaned(VALUES, FIRST, CLOSED, ("mean", "none"), 2).filled == 4, "three gaps of the first, one of the second"


def test_hampel_replaces_a_value_far_from_the_median_around_it() -> None:
    values = np.array([[5.0, 6, 5, 7, 60, 6, 5, 6, 7, 5, 6, 5, 6], [0.0] * 6 + [9.0] + [0.0] * 6])
    middle, flags = hampel(values)
    assert np.flatnonzero(flags[0]).tolist() == [4]
    assert middle[0, 4] == 6, "the median of the eleven values within six places"
    assert not flags[1].any(), "the only sale of a series is no outlier"
    told = cleaned(values, np.zeros(2, dtype=int), np.zeros(13, dtype=bool), ("zero", "hampel"), 52)
    assert (told.values[0, 4], told.flagged) == (6, 1)


def test_mstl_finds_what_breaks_a_season_and_needs_two_cycles() -> None:
    season = np.tile([10.0, 20, 30, 40, 30, 20, 10], 12) + np.tile([0.0, 1, -1, 0.5], 21)
    broken = season.copy()
    broken[40] += 50
    values, closed = np.stack([season, broken]), np.zeros(len(season), dtype=bool)
    told = cleaned(values, np.array([0, 0]), closed, ("zero", "mstl"), 7)
    assert told.values[1, 40] < broken[40] - 25, "the season takes a part of the outlier"
    assert told.flagged < 10, "a few values beside it"
    with pytest.raises(UserError, match=r"series.outliers=mstl needs 2 cycles of 52 periods .*, got 84"):
        cleaned(values, np.array([0, 0]), closed, ("zero", "mstl"), 52)
