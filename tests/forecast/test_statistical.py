"""Forecasters without a network, by hand where there are formulas."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from small_series import history_of

from seasonrec.errors import UserError
from seasonrec.forecast.base import Forecast, Forecaster, with_errors
from seasonrec.forecast.forecaster.arima import ARIMA
from seasonrec.forecast.forecaster.arimax import ARIMAX
from seasonrec.forecast.forecaster.croston import Croston
from seasonrec.forecast.forecaster.ets import ETS
from seasonrec.forecast.forecaster.moving_average import MovingAverage
from seasonrec.forecast.forecaster.seasonal_naive import SeasonalNaive, repeated_cycle
from seasonrec.forecast.forecaster.theta import Theta


def test_seasonal_naive_repeats_the_last_cycle() -> None:
    history = history_of([[1, 2, 3, 4, 5, 6, 7, 8], [0, 0, 0, 0, 0, 0, 5, 9]], first=[0, 6], horizon=6)
    assert repeated_cycle(history).tolist() == [[5, 6, 7, 8, 5, 6], [9, 9, 9, 9, 9, 9]]
    assert SeasonalNaive().forecast(history).notes == {"series shorter than a cycle, last value repeated": 1}


def test_moving_average_counts_from_the_first_sale() -> None:
    history = history_of([[9, 1, 2, 3, 6], [0, 0, 0, 4, 8]], first=[0, 3])
    assert MovingAverage(window=3).forecast(history).mean.tolist() == [[11 / 3] * 2, [6, 6]]
    with pytest.raises(UserError, match=r"forecaster.moving_average.window must be at least 1, got 0; try 4"):
        MovingAverage(window=0)


def test_quantiles_are_those_of_errors_at_earlier_origins() -> None:
    history = history_of([[0, 1, 2, 4]], horizon=1, levels=(0.0, 0.5, 1.0))
    found = with_errors(history, lambda earlier: earlier.values[:, -1:])
    assert found.mean.tolist() == [[4]]
    assert found.quantiles.tolist() == [[[5, 5, 6]]], "errors 1, 1 and 2"
    young = with_errors(history_of([[0, 0, 0, 4]], [3], horizon=1), lambda earlier: earlier.values[:, -1:])
    assert young.quantiles.tolist() == [[[4, 4, 4]]], "no earlier origin knows it"


def test_forecasts_are_not_negative_and_quantiles_in_order() -> None:
    found = Forecast(np.array([[-1.0]]), np.array([[[2.0, -3.0, 1.0]]])).positive()
    assert (found.mean.tolist(), found.quantiles.tolist()) == ([[0]], [[[0, 1, 2]]])


def test_croston_by_hand() -> None:
    # sales 2 and 6 at intervals 1 and 2; smoothing .1: size 2 + .1 (6 - 2) = 2.4, interval 1 + .1 (2 - 1) = 1.1
    history = history_of([[2, 0, 6], [0, 0, 0]])
    classic = Croston("classic").forecast(history).mean
    np.testing.assert_allclose(classic, [[2.4 / 1.1] * 2, [0, 0]])
    corrected = Croston("sba").forecast(history).mean
    np.testing.assert_allclose(corrected, [[0.95 * 2.4 / 1.1] * 2, [0, 0]])
    with pytest.raises(UserError, match=r"forecaster.croston.variant must be one of sba, classic, optimized, got 'x'"):
        Croston("x")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def waves() -> np.ndarray:
    """A weekly wave of nine weeks of days, and the same with less noise."""
    draw = np.random.default_rng(0)
    wave = np.tile([10.0, 12, 14, 20, 30, 40, 16], 9)
    return np.stack([wave + draw.normal(0, 1, 63), wave / 2 + draw.normal(0, 0.3, 63)])


@pytest.mark.parametrize("forecaster", [ETS(), Theta(), ARIMA()], ids=["ets", "theta", "arima"])
def test_seasonal_models_follow_the_wave(forecaster: Forecaster, waves: np.ndarray) -> None:
    values = np.concatenate([waves, np.zeros((1, 63))])
    values[2, -3:] = 5.0  # too short for a season
    found = forecaster.forecast(history_of(values, first=[0, 0, 60], horizon=7, cycle=7)).positive()
    np.testing.assert_allclose(found.mean[0], [10, 12, 14, 20, 30, 40, 16], atol=4)
    assert (found.quantiles[:2, :, 0] < found.mean[:2]).all()
    assert (found.mean[:2] < found.quantiles[:2, :, 2]).all()
    np.testing.assert_allclose(found.quantiles[:2, :, 1], found.mean[:2])
    assert found.notes["series with an estimated season"] == 2
    assert found.notes["series without a season, fewer than two cycles"] == 1
    np.testing.assert_allclose(found.mean[2], 5.0)


def test_a_year_of_weeks_is_taken_out_by_mstl() -> None:
    wave = 50 + 20 * np.sin(2 * np.pi * np.arange(120) / 52)
    noise = np.random.default_rng(1).normal(0, 0.5, 120)
    found = Theta().forecast(history_of([wave + noise], horizon=12, cycle=52))
    truth = 50 + 20 * np.sin(2 * np.pi * np.arange(120, 132) / 52)
    assert np.abs(found.mean[0] - truth).mean() < 5
    flat = Theta().forecast(history_of([(wave + noise)[:100]], horizon=12, cycle=52))
    assert np.ptp(flat.mean[0]) < 10, "fewer than two cycles: no season"


def test_known_inputs_move_the_forecast() -> None:
    promoted = np.zeros((42, 1))
    promoted[[5, 12, 20, 27, 33, 41], 0] = 1
    values = 20 + 30 * promoted[:40, 0] + np.random.default_rng(2).normal(0, 1, 40)
    found = ARIMAX().forecast(history_of([values], inputs=promoted, cycle=52))
    np.testing.assert_allclose(found.mean[0], [20, 50], atol=3)
    with pytest.raises(UserError, match=r"known inputs must reach the end of the horizon"):
        ARIMAX().forecast(history_of([values], inputs=promoted[:41], cycle=52))


def test_a_series_on_which_the_model_fails_repeats_its_last_value() -> None:
    found = ETS().forecast(history_of([[np.nan, np.nan, 3.0, 3.0]], cycle=52))
    assert found.mean.tolist() == [[3, 3]]
    assert found.notes["series on which the model failed, last value repeated"] == 1


def test_a_model_that_fails_on_all_series_is_no_forecast_of_last_values() -> None:
    with pytest.raises(UserError, match=r"the model fails on all 2 series, first with: \w+"):
        ETS().forecast(history_of([[np.nan, np.nan, 3.0, 3.0], [np.nan, 1.0, 3.0, 3.0]], cycle=52))


def test_a_missing_library_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "statsforecast"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    with pytest.raises(UserError, match=r'forecaster=ets: needs statsforecast.*pip install "seasonrec\[forecast\]"'):
        ETS().forecast(history_of([[1, 2, 3]]))
