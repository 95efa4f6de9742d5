"""A latent state of each series, inferred by a variational autoencoder."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from seasonrec.batches.facts import Facts
from seasonrec.forecast.neural.forecaster import NeuralForecaster
from seasonrec.models.temporal.vae import VAETemporal
from seasonrec.ranges import ranged


@ranged("forecaster.vae")
@dataclass
class VAE(NeuralForecaster):
    """The temporal module ``vae`` on series; its arguments are those of every network.

    References:
        Kingma and Welling, Auto-Encoding Variational Bayes, ICLR 2014.
    """

    name = "vae"

    def temporal(self, facts: Facts) -> nn.Module:
        return VAETemporal(facts=facts)
