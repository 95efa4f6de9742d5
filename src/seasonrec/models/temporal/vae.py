"""A latent state of the user after each basket, inferred by a variational autoencoder."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.errors import UserError
from seasonrec.models.components import SequenceReading, at_requests
from seasonrec.models.kernels.matmul import Linear, zeroed
from seasonrec.models.temporal.recurrence import BasketRecurrence, BasketStates
from seasonrec.ranges import Share, Weight, Width, ranged


@ranged("temporal")
class VAETemporal(nn.Module):
    """A Gaussian latent state, inferred by a GRU over the baskets before the request and added to the query.

    In training the state is sampled, and its divergence from the prior is a penalty: information has a cost in nats.
    Otherwise the state is its mean, without a penalty. The output projection starts at zero, so that the module starts
    as the identity.

    Args:
        latent_dim: Width ``Z`` of the state.
        beta: Weight of the divergence, a mean over requests. The loss is a mean over target events, so 1 / (events per
            basket) would give the negative evidence lower bound. The default is a fifth of that for baskets of ten, as
            in Liang et al.
        free_nats: Divergence without a penalty. It counteracts the collapse of the state to the prior (posterior
            collapse), which can happen because the query also has the backbone's output.
        prior: ``standard``: the standard normal. ``learned``: a Gaussian computed from the GRU's state before the last
            basket and the gap before that basket, so that the predictable content of a basket has no cost.
        annealing_share: Share of the training's steps over which the weight grows linearly from 0 to ``beta``; 0 has
            all of ``beta`` from the first step. A divergence that is penalised before the state helps the prediction
            pulls the state to the prior, where it stays. The other half of the default trains with all of ``beta``.

    Shape:
        - hidden: ``(B, T + 1, D)``; query: ``(N, D)``; penalties: ``kl`` in training.

    Raises:
        ValueError: If ``latent_dim`` is below 1, ``beta`` or ``free_nats`` below 0, ``annealing_share`` outside [0, 1],
            or ``prior`` unknown.

    References:
        Liang et al., Variational Autoencoders for Collaborative Filtering, WWW 2018 (the weight ``beta``, which grows
        linearly from 0 as in Bowman et al., Generating Sentences from a Continuous Space, CoNLL 2016). Sachdeva et al.,
        Sequential Variational Autoencoders for Collaborative Filtering, WSDM 2019 (a GRU gives a state for every step).
        Chung et al., A Recurrent Latent Variable Model for Sequential Data, NIPS 2015 (a learned prior). Kingma et al.,
        Improving Variational Inference with Inverse Autoregressive Flow, NIPS 2016, appendix C.8 (free bits).
        Departures: each step reads a basket; the query keeps the backbone's output instead of being decoded from the
        state alone; the growth lasts a share of the training instead of a number of updates; free nats apply to the
        whole state, not to groups of dimensions.
    """

    changes_hidden = True
    growth: Tensor

    def __init__(
        self,
        latent_dim: Width = 32,
        beta: Weight = 0.02,
        free_nats: Weight = 0.0,
        prior: Literal["standard", "learned"] = "standard",
        annealing_share: Share = 0.5,
        *,
        facts: Facts,
    ) -> None:
        super().__init__()
        if prior not in ("standard", "learned"):
            raise UserError(f"temporal.prior must be standard or learned, got {prior!r}; choose one of them.")
        width = facts.embedding_dim
        self.beta = beta
        self.annealing_share = annealing_share
        self.free_nats = free_nats
        # a tensor, because a compiled module would be compiled again for each number
        self.register_buffer("growth", torch.ones(()), persistent=False)
        self.recurrence = BasketRecurrence(nn.GRUCell, width, num_layers=1)
        self.posterior = Gaussian(width, width, latent_dim)
        self.prior = Gaussian(width + 1, width, latent_dim) if prior == "learned" else None
        self.out = zeroed(Linear(latent_dim, width))

    def at_progress(self, share: float) -> None:
        """Sets the weight of the divergence for the next batches; see ``annealing_share``."""
        self.growth.fill_(min(1.0, share / self.annealing_share) if self.annealing_share else 1.0)

    def forward(self, hidden: Tensor, batch: SequenceBatch) -> SequenceReading:
        states = self.recurrence(hidden, batch)
        mean, log_variance = self.posterior(states.after)
        state = mean + torch.randn_like(mean) * (0.5 * log_variance).exp() if self.training else mean
        query = at_requests(hidden, batch) + self.out(state)
        if not self.training:
            return SequenceReading(query)
        divergence = gaussian_kl((mean, log_variance), self._prior(states, mean)).mean()
        return SequenceReading(query, {"kl": self.beta * self.growth * (divergence - self.free_nats).clamp(min=0.0)})

    def _prior(self, states: BasketStates, mean: Tensor) -> tuple[Tensor, Tensor]:
        """Returns mean and log variance ``(N, Z)`` of the prior."""
        if self.prior is None:
            return torch.zeros_like(mean), torch.zeros_like(mean)
        expected: tuple[Tensor, Tensor] = self.prior(torch.cat([states.before, states.gap], dim=1))
        return expected


class Gaussian(nn.Module):
    """A small network that returns the mean and the log variance of independent normals.

    Shape:
        - inputs: ``(N, num_inputs)``; output: two of ``(N, num_outputs)``, float32 also under autocast.
    """

    def __init__(self, num_inputs: int, width: int, num_outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(Linear(num_inputs, width), nn.Tanh(), Linear(width, 2 * num_outputs))

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.layers(inputs).float().chunk(2, dim=-1)
        return mean, log_variance


def gaussian_kl(of: tuple[Tensor, Tensor], to: tuple[Tensor, Tensor]) -> Tensor:
    """Returns the divergence ``KL(of || to)`` in nats, ``(N,)``, of normals given as mean and log variance."""
    (mean, log_variance), (other, other_log_variance) = of, to
    distance = (mean - other).square() * (-other_log_variance).exp()
    ratio = log_variance - other_log_variance
    return 0.5 * (ratio.exp() + distance - 1 - ratio).sum(dim=-1)
