"""A long short-term memory over the periods of each series."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from seasonrec.batches.facts import Facts
from seasonrec.forecast.neural.forecaster import NeuralForecaster
from seasonrec.models.temporal.lstm import LSTMTemporal
from seasonrec.ranges import ranged


@ranged("forecaster.lstm")
@dataclass
class LSTM(NeuralForecaster):
    """The temporal module ``lstm`` on series; its arguments are those of every network.

    References:
        Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 1997.
    """

    name = "lstm"

    def temporal(self, facts: Facts) -> nn.Module:
        return LSTMTemporal(facts=facts)
