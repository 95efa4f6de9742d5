"""Origins: what they know, what they leave to the fallback, and trials over them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from seasonrec.errors import UserError
from seasonrec.forecast.base import Floats, History
from seasonrec.forecast.forecaster.moving_average import MovingAverage
from seasonrec.forecast.inputs import KnownInputs
from seasonrec.forecast.origins import Origins, Rolling
from seasonrec.forecast.rolling import run_trial
from seasonrec.forecast.series import Panel, SeriesOptions

LEVELS = (0.1, 0.5, 0.9)


def panel(values: Floats, closed: tuple[int, ...] = ()) -> Panel:
    periods = values.shape[1]
    is_closed = np.isin(np.arange(periods), closed)
    first = np.where((values > 0).any(axis=1), (values > 0).argmax(axis=1), periods)
    names = tuple(f"s{number}" for number in range(len(values)))
    starts = 7 * np.arange(periods, dtype=np.int64)
    return Panel(names, np.where(is_closed, 0, values), first, starts, is_closed, 7, np.arange(len(values)))


def origins(values: Floats, rolling: Rolling, closed: tuple[int, ...] = (), **options: object) -> Origins:
    chosen = SeriesOptions(**{"fallback": "naive", "least_nonzero": 3, **options})  # type: ignore[arg-type]
    inputs = KnownInputs((), np.zeros((values.shape[1] + rolling.horizon, 0)), {})
    return Origins(panel(values, closed), chosen, rolling, inputs)


VALUES = np.array(
    [
        [5.0, 6, 5, 7, 6, 5, 8, 6, 5, 7],
        [0.0, 0, 1, 0, 0, 0, 1, 0, 4, 0],
        [0.0, 0, 0, 0, 0, 0, 0, 3, 9, 2],
    ]
)


def test_origins_end_a_horizon_before_the_end() -> None:
    assert Rolling(2, 3, 2, LEVELS).known(10) == [4, 6, 8]
    with pytest.raises(UserError, match=r"origins=3, step=2 and horizon=2 need 8 whole periods, got 7; lower one"):
        Rolling(2, 3, 2, LEVELS).known(7)
    with pytest.raises(UserError, match=r"horizon must be at most 12, got 13"):
        Rolling(13, 1, 1, LEVELS)
    with pytest.raises(UserError, match=r"levels must be rising numbers, got"):
        Rolling(2, 1, 1, (0.9, 0.1))


def test_an_origin_knows_the_past_and_counts_what_it_leaves() -> None:
    made = origins(VALUES, Rolling(2, 1, 1, LEVELS)).at(7)
    assert made.chosen.tolist() == [0]
    assert made.others.tolist() == [1, 2]
    assert made.counts["series given to the fallback"] == 1
    assert made.counts["series without a sale yet"] == 1
    assert made.groups.tolist() == [0, 0, 2]
    assert made.fallback.mean.tolist() == [[1, 1], [0, 0]], "the last values"
    assert made.actual[0].tolist() == [6, 5]
    np.testing.assert_allclose(made.scales[0], np.abs(np.diff(VALUES[0, :7])).mean())


def test_nothing_at_an_origin_depends_on_what_comes_after_it() -> None:
    other = VALUES.copy()
    other[:, 7:] = 50
    rolling = Rolling(2, 1, 1, LEVELS)
    for missing, outliers in (("interpolate", "none"), ("mean", "hampel")):
        one, two = (
            origins(values, rolling, (4,), missing=missing, outliers=outliers).at(7) for values in (VALUES, other)
        )
        np.testing.assert_array_equal(one.history.values, two.history.values)
        np.testing.assert_array_equal(one.chosen, two.chosen)
        np.testing.assert_array_equal(one.groups, two.groups)
        first, second = (made.forecast(MovingAverage(), made.history) for made in (one, two))
        np.testing.assert_array_equal(first.mean, second.mean)
        np.testing.assert_array_equal(first.quantiles, second.quantiles)


def test_closed_periods_ahead_are_not_measured() -> None:
    made = origins(VALUES, Rolling(3, 1, 1, LEVELS), closed=(8,))
    trial = run_trial(MovingAverage(), [made.at(7)], None, 0, lambda line: None)
    assert trial.cells["step"].to_list() == [1, 3]
    assert made.at(7).counts["closed periods"] == 0


def test_most_keeps_the_largest_series_of_the_first_origin() -> None:
    values = np.stack([VALUES[0], 3 * VALUES[0], 2 * VALUES[0]])
    made = origins(values, Rolling(1, 2, 1, LEVELS), most=2)
    assert made.at(8).chosen.tolist() == [1, 2]


def test_origins_that_cannot_be_are_refused() -> None:
    late = VALUES.copy()
    late[:, :5] = 0
    with pytest.raises(UserError, match=r"an origin must have events before it, got none in 4 periods"):
        origins(late, Rolling(1, 1, 1, LEVELS), (0, 1, 2, 3, 4)).at(4)
    with pytest.raises(UserError, match=r"series.least_nonzero=9 leaves no series at an origin of 6 periods"):
        origins(VALUES, Rolling(1, 1, 1, LEVELS), least_nonzero=9).at(6)


class Counted:
    """A forecaster that says what it was given."""

    is_trained, forecasts_all = True, False

    def __init__(self, refits: bool) -> None:
        self.refits = refits
        self.fits: list[tuple[int, int]] = []

    def fit(self, history: History, seed: int) -> None:
        self.fits.append((history.known, seed))

    def forecast(self, history: History):  # type: ignore[no-untyped-def]
        return MovingAverage(1).forecast(history)


def test_a_trial_fits_once_or_at_each_origin() -> None:
    maker = origins(VALUES, Rolling(2, 2, 1, LEVELS))
    some, end = [maker.at(7), maker.at(8)], maker.at(10)
    for refits, expected in ((False, [(7, 3)]), (True, [(7, 3), (8, 3), (10, 3)])):
        forecaster = Counted(refits)
        trial = run_trial(forecaster, some, end, 3, lambda line: None)
        assert forecaster.fits == expected
        assert trial.last is not None
        assert trial.last.mean.tolist() == [[7, 7], [0, 0], [2, 2]]
    first = trial.cells.filter(pl.col("origin") == 0)
    assert first["mean"].to_list() == [8, 8]
    assert first["actual"].to_list() == [6, 5]
    best = trial.lists.filter(pl.col("group") == "all", pl.col("k") == 20, pl.col("origin") == 1)
    assert best["recall"].to_list() == [1, 1], "all sellers are in a list of twenty"
