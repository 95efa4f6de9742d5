"""A gated recurrent unit over the periods of each series."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from seasonrec.batches.facts import Facts
from seasonrec.forecast.neural.forecaster import NeuralForecaster
from seasonrec.models.temporal.gru import GRUTemporal
from seasonrec.ranges import ranged


@ranged("forecaster.gru")
@dataclass
class GRU(NeuralForecaster):
    """The temporal module ``gru`` on series; its arguments are those of every network.

    References:
        Cho et al., Learning Phrase Representations using RNN Encoder-Decoder, EMNLP 2014.
    """

    name = "gru"

    def temporal(self, facts: Facts) -> nn.Module:
        return GRUTemporal(facts=facts)
