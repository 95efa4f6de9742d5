"""A plain recurrent network over the periods of each series."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from seasonrec.batches.facts import Facts
from seasonrec.forecast.neural.forecaster import NeuralForecaster
from seasonrec.models.temporal.recurrence import RecurrentTemporal
from seasonrec.ranges import ranged


@ranged("forecaster.rnn")
@dataclass
class RNN(NeuralForecaster):
    """A recurrent network without gates; its arguments are those of every network.

    References:
        Elman, Finding Structure in Time, Cognitive Science 1990.
    """

    name = "rnn"

    def temporal(self, facts: Facts) -> nn.Module:
        return RecurrentTemporal(nn.RNNCell, facts.embedding_dim, num_layers=1)
