"""A Transformer over the periods of each series."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from seasonrec.batches.facts import Facts
from seasonrec.forecast.neural.forecaster import NeuralForecaster
from seasonrec.models.temporal.transformer_time import TransformerTime
from seasonrec.ranges import ranged


@ranged("forecaster.transformer")
@dataclass
class Transformer(NeuralForecaster):
    """The temporal module ``transformer_time`` on series; its arguments are those of every network.

    It has the weekday and the time of year of each period, besides the known inputs.

    References:
        Vaswani et al., Attention Is All You Need, NIPS 2017.
    """

    name = "transformer"

    def temporal(self, facts: Facts) -> nn.Module:
        return TransformerTime(facts=facts)
