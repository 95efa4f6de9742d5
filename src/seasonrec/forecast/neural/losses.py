"""Losses of a network's forecasts, with the means and quantiles that belong to them."""

from __future__ import annotations

from typing import Literal, Protocol, get_args

import numpy as np
import torch
import torch.nn.functional as F
from scipy import stats
from torch import Tensor

from seasonrec.forecast.base import Floats
from seasonrec.forecast.neural.windows import SeriesBatch

LossName = Literal["mse", "poisson", "negative_binomial", "pinball"]
LOSSES = get_args(LossName)
COUNTS = ("poisson", "negative_binomial")
"""Losses of counts, which know no negative value."""

LEAST_RATE = 1e-4
"""Smallest expected count."""


class SeriesLoss(Protocol):
    """Loss of outputs ``(N, H, O)``.

    Attributes:
        num_outputs: Numbers ``O`` for each period.
        has_quantiles: False if the quantiles are those of the errors on the validation windows.
    """

    num_outputs: int
    has_quantiles: bool

    def __call__(self, outputs: Tensor, batch: SeriesBatch) -> Tensor:
        """Returns the mean loss."""
        ...

    def forecast(self, outputs: Tensor, batch: SeriesBatch) -> tuple[Floats, Floats]:
        """Returns means ``(N, H)`` and quantiles ``(N, H, Q)``, empty without ``has_quantiles``."""
        ...


def loss_of(name: LossName, levels: tuple[float, ...]) -> SeriesLoss:
    """Returns the loss of a name."""
    if name == "mse":
        return SquaredError()
    if name == "pinball":
        return Pinball(levels)
    return Poisson(levels) if name == "poisson" else NegativeBinomial(levels)


class SquaredError:
    """Squared error of normalised values."""

    num_outputs = 1
    has_quantiles = False

    def __call__(self, outputs: Tensor, batch: SeriesBatch) -> Tensor:
        return F.mse_loss(outputs[..., 0], (batch.target - batch.shift) / batch.scale)

    def forecast(self, outputs: Tensor, batch: SeriesBatch) -> tuple[Floats, Floats]:
        mean = _numpy(outputs[..., 0] * batch.scale + batch.shift)
        return mean, np.zeros((*mean.shape, 0))


class Pinball:
    """Pinball loss of normalised values, one output for each quantile; the point forecast is the median.

    Args:
        levels: ``Q`` probabilities; 0.5 is added where it is missing.

    References:
        Koenker and Bassett, Regression Quantiles, Econometrica 1978. Wen et al., A Multi-Horizon Quantile Recurrent
        Forecaster, 2017.
    """

    has_quantiles = True

    def __init__(self, levels: tuple[float, ...]) -> None:
        self.all_levels = levels if 0.5 in levels else (*levels, 0.5)
        self.levels = levels
        self.num_outputs = len(self.all_levels)

    def __call__(self, outputs: Tensor, batch: SeriesBatch) -> Tensor:
        above = ((batch.target - batch.shift) / batch.scale)[..., None] - outputs
        levels = torch.tensor(self.all_levels, device=outputs.device, dtype=outputs.dtype)
        return torch.maximum(levels * above, (levels - 1) * above).mean()

    def forecast(self, outputs: Tensor, batch: SeriesBatch) -> tuple[Floats, Floats]:
        values = _numpy(outputs * batch.scale[..., None] + batch.shift[..., None])
        return values[..., self.all_levels.index(0.5)], values[..., : len(self.levels)]


class Poisson:
    """Negative log-likelihood of a Poisson count, without the term that the forecast does not change.

    Args:
        levels: ``Q`` probabilities of the quantiles.
    """

    num_outputs = 1
    has_quantiles = True

    def __init__(self, levels: tuple[float, ...]) -> None:
        self.levels = levels

    def __call__(self, outputs: Tensor, batch: SeriesBatch) -> Tensor:
        rate = _rate(outputs, batch)
        return (rate - batch.target * rate.log()).mean()

    def forecast(self, outputs: Tensor, batch: SeriesBatch) -> tuple[Floats, Floats]:
        rate = _numpy(_rate(outputs, batch))
        return rate, stats.poisson.ppf(np.asarray(self.levels), rate[..., None])


class NegativeBinomial:
    """Negative log-likelihood of a negative binomial count with mean ``m`` and variance ``m + a m^2``.

    Args:
        levels: ``Q`` probabilities of the quantiles.

    References:
        Salinas, Flunkert, Gasthaus and Januschowski, DeepAR, International Journal of Forecasting 2020, equation 4.
        Departure: all periods ahead come from one query instead of one after the other.
    """

    num_outputs = 2
    has_quantiles = True

    def __init__(self, levels: tuple[float, ...]) -> None:
        self.levels = levels

    def __call__(self, outputs: Tensor, batch: SeriesBatch) -> Tensor:
        mean, size = _rate(outputs, batch), 1.0 / _dispersion(outputs)
        count = batch.target
        chances = torch.lgamma(count + size) - torch.lgamma(size) - torch.lgamma(count + 1)
        shares = size * (size / (size + mean)).log() + count * (mean / (size + mean)).log()
        return -(chances + shares).mean()

    def forecast(self, outputs: Tensor, batch: SeriesBatch) -> tuple[Floats, Floats]:
        mean, size = _numpy(_rate(outputs, batch)), 1.0 / _numpy(_dispersion(outputs))
        success = size / (size + mean)
        return mean, stats.nbinom.ppf(np.asarray(self.levels), size[..., None], success[..., None])


def _rate(outputs: Tensor, batch: SeriesBatch) -> Tensor:
    """Returns ``(N, H)`` expected counts."""
    return F.softplus(outputs[..., 0]) * batch.scale + LEAST_RATE


def _dispersion(outputs: Tensor) -> Tensor:
    """Returns ``(N, H)``, above 0."""
    return F.softplus(outputs[..., 1]) + LEAST_RATE


def _numpy(values: Tensor) -> Floats:
    return np.asarray(values.detach().cpu().double().numpy(), dtype=np.float64)
