"""Metrics worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from seasonrec.forecast.groups import group_of
from seasonrec.forecast.metrics import mase_scales, pinball, recall_of_best, summary

ACTUAL = np.array([2.0, 0.0, 10.0, 4.0])
MEAN = np.array([3.0, 0.0, 6.0, 4.0])
QUANTILES = np.array([[1.0, 3.0, 5.0], [0.0, 0.0, 1.0], [5.0, 6.0, 8.0], [3.0, 4.0, 6.0]])
LEVELS = (0.1, 0.5, 0.9)


def test_pinball() -> None:
    # y=2: .1*(2-1)=.1, .5*(3-2)=.5, .1*(5-2)=.3; y=10: .1*5=.5, .5*4=2, .9*2=1.8
    found = pinball(ACTUAL, QUANTILES, LEVELS)
    np.testing.assert_allclose(found, [0.9 / 3, 0.1 / 3, 4.3 / 3, (0.1 + 0 + 0.2) / 3])


def test_summary() -> None:
    told = summary({"actual": ACTUAL, "mean": MEAN, "quantiles": QUANTILES}, np.array([1.0, np.nan, 2.0, 4.0]), LEVELS)
    assert told["mae"] == 5 / 4
    assert told["rmse"] == pytest.approx(np.sqrt(17 / 4))
    assert told["wape"] == 5 / 16
    assert told["mase"] == pytest.approx((1 / 1 + 4 / 2 + 0) / 3), "the second series has no scale"
    assert told["pinball"] == pytest.approx(5.6 / 12)
    assert told["scaled_pinball"] == pytest.approx((0.3 + 4.3 / 6 + 0.1 / 4) / 3)
    assert told["coverage"] == 3 / 4


def test_scales_are_errors_of_the_seasonal_naive() -> None:
    values = np.array([[1.0, 5, 3, 9], [0.0, 0, 4, 6], [7.0, 7, 7, 7], [0.0, 0, 0, 4]])
    scales = mase_scales(values, np.array([0, 2, 0, 3]), cycle=2)
    assert scales[:2].tolist() == [3.0, 2.0], "(|3-1| + |9-5|) / 2; by its last value: |6-4|"
    assert np.isnan(scales[2:]).all(), "no error, and no earlier value"


def test_recall_of_the_best_sellers() -> None:
    actual = np.array([9.0, 7, 5, 0, 0])
    assert recall_of_best(actual, np.array([3.0, 1, 2, 9, 0]), 2) == 0.5, "the list is 3 and 0, the best are 0 and 1"
    assert recall_of_best(actual, np.array([3.0, 1, 2, 0, 0]), 4) == 1.0, "three sellers, all in the list of four"
    assert recall_of_best(actual, np.zeros(5), 2) == pytest.approx(2 / 5), "all equal: two of five by chance"
    ties = np.array([5.0, 5, 5, 1])
    assert recall_of_best(ties, np.array([1.0, 2, 0, 0]), 2) == 1.0, "equals at the border all belong to the best"
    assert np.isnan(recall_of_best(np.zeros(3), np.ones(3), 2))


def test_groups_at_an_origin() -> None:
    values = np.zeros((4, 12))
    values[0, 11], values[1, 2], values[2, 3] = 1, 1, 1
    values[2, 4] = 1  # the last of the recent eight weeks begins with period 4
    assert group_of(values, np.array([11, 2, 3, 12]), 7).tolist() == [0, 1, 0, 2]
