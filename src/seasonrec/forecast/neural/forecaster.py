"""Forecaster of all series by one network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from seasonrec.batches.facts import Facts
from seasonrec.errors import UserError
from seasonrec.forecast.base import Floats, Forecast, History
from seasonrec.forecast.neural.losses import COUNTS, LOSSES, LossName, SeriesLoss, loss_of
from seasonrec.forecast.neural.network import SeriesNetwork
from seasonrec.forecast.neural.windows import DrawnWindows, Normalisation, SeriesBatch, WindowMaker
from seasonrec.ranges import AtLeast, Batch, Count, Length, Rate, Width

ROWS_AT_ONCE = 1024


@dataclass
class NeuralForecaster(ABC):
    """One network for all series, trained on their windows, that forecasts all periods ahead at once.

    The last horizon before the origin of the fit is the validation: the network with the smallest loss there is kept.
    With ``loss=mse`` the quantiles are those of the normalised errors there.

    Args:
        window: Largest number of periods that the network reads.
        loss: ``negative_binomial`` and ``poisson``: likelihoods of counts; ``mse`` and ``pinball``: losses of
            normalised values.
        normalisation: ``mean``: values over 1 + their mean in the window; ``standard``: less their mean, over their
            standard deviation; ``none``.
        differences: 1 to read and forecast changes, 0 for values.
        width: Width ``D`` of the network.
        steps: Optimiser steps.
        batch_size: Windows of a step.
        learning_rate: Highest rate of AdamW.
        refits: Whether it is trained again at each origin; otherwise the first origin's network reads the later ones.

    Raises:
        ValueError: If an option is out of range, or a loss of counts is given changes or standardised values.
    """

    window: Length = 52
    loss: LossName = "negative_binomial"
    normalisation: Normalisation = "mean"
    differences: Annotated[int, AtLeast(0, 1)] = 0
    width: Width = 32
    steps: Count = 300
    batch_size: Batch = 128
    learning_rate: Rate = 3e-3
    refits: bool = False

    is_trained: ClassVar[bool] = True
    forecasts_all: ClassVar[bool] = False
    name: ClassVar[str] = "neural"

    _network: SeriesNetwork | None = field(default=None, init=False, repr=False)
    _errors: Floats | None = field(default=None, init=False, repr=False)
    _notes: dict[str, int] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        place = f"forecaster.{self.name}"
        for key, kinds in (("loss", LOSSES), ("normalisation", get_args(Normalisation)), ("differences", (0, 1))):
            if getattr(self, key) not in kinds:
                known = ", ".join(map(str, kinds))
                raise UserError(
                    f"{place}.{key} must be one of {known}, got {getattr(self, key)!r}; choose one of them."
                )
        if self.loss in COUNTS and (self.differences or self.normalisation == "standard"):
            raise UserError(
                f"{place}.loss={self.loss} is a likelihood of counts, which cannot be below 0, got "
                f"differences={self.differences} and normalisation={self.normalisation}; choose loss=mse or pinball, "
                "or differences=0 and normalisation=mean."
            )

    @abstractmethod
    def temporal(self, facts: Facts) -> nn.Module:
        """Returns the temporal module that reads the periods."""

    def fit(self, history: History, seed: int) -> None:
        from seasonrec.forecast.neural.fit import Budget, train

        maker = self._maker(history)
        cut = history.known - history.horizon  # the origin of validation, and the end of every training target
        places = maker.places(max(cut - history.horizon + 1, 0))
        held = np.flatnonzero(cut - history.first >= 1)
        if not len(places[0]) or not len(held):
            raise UserError(
                f"forecaster={self.name} needs training windows with {history.horizon} periods ahead before the last "
                f"{history.horizon} known ones, got {history.known} periods; lower horizon or origins."
            )
        loss = loss_of(self.loss, history.levels)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            num_inputs = len(history.inputs.names)
            network = SeriesNetwork(
                self.temporal, num_inputs, self.width, history.horizon, loss.num_outputs, int(history.starts[0])
            )
            validation = [maker(rows, np.full(len(rows), cut)) for rows in _portions(held)]
            drawn = DrawnWindows(maker, places, self.batch_size, self.steps, seed)
            budget = Budget(self.steps, self.batch_size, self.learning_rate)
            best = train(network, loss, drawn, validation, budget, history.progress)
        self._network = network
        self._errors = None if loss.has_quantiles else self._validation_errors(validation, loss, history.levels)
        parameters = sum(one.numel() for one in network.parameters())
        self._notes = {"parameters": parameters, "training windows": len(places[0]), "best step": best}

    def forecast(self, history: History) -> Forecast:
        assert self._network is not None, "fit comes first"
        maker, loss = self._maker(history), loss_of(self.loss, history.levels)
        means, quantiles = [], []
        for rows in _portions(np.arange(len(history.values))):
            batch = maker(rows, np.full(len(rows), history.known))
            mean, quantile = self._predict(batch, loss)
            if self._errors is not None:  # (H, Q) normalised errors
                quantile = mean[:, :, None] + batch.scale.double().numpy()[:, :, None] * self._errors
            means.append(mean)
            quantiles.append(quantile)
        return Forecast(np.concatenate(means), np.concatenate(quantiles), self._notes)

    def _maker(self, history: History) -> WindowMaker:
        return WindowMaker(history, self.window, self.normalisation, self.differences)

    @torch.inference_mode()
    def _predict(self, batch: SeriesBatch, loss: SeriesLoss) -> tuple[Floats, Floats]:
        assert self._network is not None
        outputs, _ = self._network(batch)
        return loss.forecast(outputs, batch)

    def _validation_errors(self, validation: list[SeriesBatch], loss: SeriesLoss, levels: tuple[float, ...]) -> Floats:
        """Returns the ``(H, Q)`` quantiles of the normalised errors on the validation windows."""
        errors = []
        for batch in validation:
            mean, _ = self._predict(batch, loss)
            errors.append((batch.target.double().numpy() - mean) / batch.scale.double().numpy())
        return np.asarray(np.quantile(np.concatenate(errors), levels, axis=0).T, dtype=np.float64)


def _portions(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [rows[begin : begin + ROWS_AT_ONCE] for begin in range(0, len(rows), ROWS_AT_ONCE)]
