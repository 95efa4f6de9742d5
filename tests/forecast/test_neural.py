"""Networks on series: windows, losses and quantiles by hand, and what every network must do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from small_series import MONDAY, history_of

from seasonrec.errors import UserError
from seasonrec.forecast.forecaster.gru import GRU
from seasonrec.forecast.forecaster.lstm import LSTM
from seasonrec.forecast.forecaster.rnn import RNN
from seasonrec.forecast.forecaster.transformer import Transformer
from seasonrec.forecast.forecaster.vae import VAE
from seasonrec.forecast.neural.forecaster import NeuralForecaster
from seasonrec.forecast.neural.losses import NegativeBinomial, Pinball, Poisson, SquaredError
from seasonrec.forecast.neural.windows import WindowMaker

NETWORKS = (RNN, LSTM, GRU, Transformer, VAE)
VALUES = [[2, 4, 6, 8, 10, 12, 14, 16], [0, 0, 0, 0, 0, 3, 5, 7]]


def windows(normalisation: str = "none", differences: int = 0) -> WindowMaker:
    inputs = np.arange(10, dtype=np.float64)[:, None]
    history = history_of(VALUES, first=[0, 5], inputs=inputs)
    return WindowMaker(history, 3, normalisation, differences)  # type: ignore[arg-type]


def test_windows_hold_what_was_known() -> None:
    batch = windows()(np.array([0, 1]), np.array([6, 6]))
    assert batch.values.tolist() == [[8, 10, 12], [3, 0, 0]]
    assert batch.length.tolist() == [3, 1]
    assert batch.target.tolist() == [[14, 16], [5, 7]]
    assert batch.origin_days.tolist() == [MONDAY + 42] * 2
    assert batch.days[0].tolist() == [MONDAY + 21, MONDAY + 28, MONDAY + 35]
    assert batch.past_inputs[..., 0].tolist() == [[3, 4, 5], [5, 0, 0]]
    assert batch.future_inputs[..., 0].tolist() == [[6, 7]] * 2
    end = windows()(np.array([0]), np.array([8]))
    assert end.target.tolist() == [[0, 0]], "nothing is known after the end"
    series, origin = windows().places(7)
    assert set(zip(series.tolist(), origin.tolist(), strict=True)) == {(0, 4), (0, 5), (0, 6)}


def test_normalisation_and_differences() -> None:
    mean = windows("mean")(np.array([0]), np.array([6]))
    assert (float(mean.scale), float(mean.shift)) == (11, 0)
    np.testing.assert_allclose(mean.values[0], np.array([8, 10, 12]) / 11, rtol=1e-6)
    standard = windows("standard")(np.array([0]), np.array([6]))
    np.testing.assert_allclose(standard.values[0], [-np.sqrt(1.5), 0, np.sqrt(1.5)], rtol=1e-6)
    changes = windows("none", 1)(np.array([0]), np.array([6]))
    assert changes.values.tolist() == [[0, 2, 2]]
    assert float(changes.shift) == 12, "the forecast is added to the last known value"


def test_losses_by_hand() -> None:
    batch = replace(windows()(np.array([0]), np.array([6])), scale=torch.tensor([[2.0]]), shift=torch.tensor([[4.0]]))
    assert float(SquaredError()(torch.tensor([[[4.0], [7.0]]]), batch)) == pytest.approx(0.5 * (1 + 1))  # 5 and 6
    outputs = torch.tensor([[[4.0, 5.0, 7.0], [5.0, 7.0, 8.0]]])
    # above: 1, 0, -2 and 1, -1, -2; losses .1, 0, .2 and .1, .5, .2
    assert float(Pinball((0.1, 0.5, 0.9))(outputs, batch)) == pytest.approx(1.1 / 6)
    mean, quantiles = Pinball((0.1, 0.9))(outputs, batch), Pinball((0.1, 0.9)).forecast(outputs[..., [0, 2, 1]], batch)
    assert mean.isfinite()
    assert quantiles[0].tolist() == [[14, 18]]
    assert quantiles[1].tolist() == [[[12, 18], [14, 20]]]


def test_likelihoods_are_those_of_scipy() -> None:
    batch = windows("mean")(np.array([0]), np.array([6]))
    outputs = torch.tensor([[[0.3, -0.5], [1.0, 0.2]]])
    softplus = np.log1p(np.exp(outputs.double().numpy()))
    rate = softplus[0, :, 0] * 11 + 1e-4
    counts = np.array([14.0, 16.0])
    nats = -stats.poisson.logpmf(counts, rate) - np.array([float(torch.lgamma(torch.tensor(c + 1))) for c in counts])
    assert float(Poisson(())(outputs[..., :1], batch)) == pytest.approx(nats.mean(), rel=1e-4)
    size = 1 / (softplus[0, :, 1] + 1e-4)
    found = float(NegativeBinomial(())(outputs, batch))
    assert found == pytest.approx(-stats.nbinom.logpmf(counts, size, size / (size + rate)).mean(), rel=1e-4)
    mean, quantiles = NegativeBinomial((0.1, 0.9)).forecast(outputs, batch)
    np.testing.assert_allclose(mean[0], rate, rtol=1e-5)
    np.testing.assert_allclose(quantiles[0, :, 1], stats.nbinom.ppf(0.9, size, size / (size + rate)))


def small(network: type[NeuralForecaster], **options: object) -> NeuralForecaster:
    return network(**{"window": 8, "width": 8, "steps": 4, "batch_size": 8, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_a_network_learns_forecasts_and_is_repeated_by_its_seed(network: type[NeuralForecaster]) -> None:
    draw = np.random.default_rng(0)
    history = history_of(draw.poisson(6, (4, 20)).astype(float), first=[0, 0, 3, 12], inputs=draw.normal(size=(22, 1)))
    found = []
    for seed in (0, 0, 1):
        forecaster = small(network)
        forecaster.fit(history, seed)
        found.append(forecaster.forecast(history))
    assert found[0].mean.shape == (4, 2)
    assert found[0].quantiles.shape == (4, 2, 3)
    assert np.isfinite(found[0].quantiles).all()
    np.testing.assert_array_equal(found[0].mean, found[1].mean)
    assert (found[0].mean != found[2].mean).any()
    assert found[0].notes["training windows"] > 0


def test_a_network_reads_the_past_and_no_target() -> None:
    values = np.random.default_rng(1).poisson(6, (3, 20)).astype(float)
    forecaster = small(GRU)
    forecaster.fit(history_of(values), 0)
    before = forecaster.forecast(history_of(values)).mean
    changed = values.copy()
    changed[0, -1] += 30
    after = forecaster.forecast(history_of(changed)).mean
    assert (before[0] != after[0]).all()
    np.testing.assert_array_equal(before[1:], after[1:])


def test_a_network_learns_a_wave() -> None:
    wave = np.tile([2.0, 8, 20, 8], 14)
    history = history_of(np.stack([wave, 2 * wave, 0.5 * wave]), horizon=4)
    forecaster = GRU(window=8, width=16, steps=120, batch_size=16, loss="mse", learning_rate=3e-2)
    forecaster.fit(history, 0)
    found = forecaster.forecast(history).mean
    flat = np.abs(np.array([2.0, 8, 20, 8]) - 9.5).mean()
    assert np.abs(found[0] - [2, 8, 20, 8]).mean() < 0.3 * flat


@pytest.mark.parametrize("loss", ["mse", "pinball"])
def test_changes_are_added_to_the_last_value(loss: str) -> None:
    line = np.arange(30.0)[None] + 100
    forecaster = small(RNN, loss=loss, differences=1, steps=40, learning_rate=1e-2)
    forecaster.fit(history_of(line), 0)
    found = forecaster.forecast(history_of(line))
    assert (np.abs(found.mean - [[130, 131]]) < 5).all()
    assert found.quantiles.shape == (1, 2, 3)


def test_options_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match=r"forecaster.gru.loss=poisson is a likelihood of counts"):
        GRU(loss="poisson", differences=1)
    with pytest.raises(UserError, match=r"forecaster.lstm.window must be at least 1, got 0"):
        LSTM(window=0)
    with pytest.raises(UserError, match=r"forecaster.vae.loss must be one of mse, poisson"):
        VAE(loss="mae")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"forecaster=gru needs training windows with 2 periods ahead"):
        small(GRU).fit(history_of([[1, 2, 3, 4, 5]]), 0)
