"""Elastic weight consolidation: weights that earlier requests need are held near their values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.models.recommender import Reading, SeasonalRecommender
from seasonrec.training.loss.base import Loss

Weights = Mapping[str, Tensor]
"""Tensors by the names of a model's weights."""


def trained_weights(model: nn.Module) -> dict[str, nn.Parameter]:
    """Returns the weights of a model that are trained, by name."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def diagonal_fisher(
    model: SeasonalRecommender, batches: Iterable[SequenceBatch], generator: torch.Generator
) -> dict[str, Tensor]:
    """Returns the diagonal of the Fisher information of the trained weights, a mean over requests.

    It is the mean of ``(d log p(i | request) / d weight)^2`` over items ``i`` that are drawn from the model's own
    probabilities of the candidates. The mixture takes no part.

    Args:
        model: The recommender, in evaluation mode.
        batches: Batches of one request each, at least one.
        generator: Source of the drawn items.

    References:
        Kirkpatrick et al., Overcoming Catastrophic Forgetting in Neural Networks, PNAS 2017.
    """
    weights = trained_weights(model)
    sums, count = {name: torch.zeros_like(weight) for name, weight in weights.items()}, 0
    for batch in batches:
        log_probability = torch.log_softmax(model.read(batch).scores()[0], dim=0)  # (V,)
        item = torch.multinomial(log_probability.detach().exp().cpu(), 1, generator=generator).item()
        gradients = torch.autograd.grad(log_probability[int(item)], list(weights.values()), allow_unused=True)
        for name, gradient in zip(weights, gradients, strict=True):
            if gradient is not None:
                sums[name] += gradient.square()
        count += 1
    return {name: total / count for name, total in sums.items()}


def elastic_penalty(weights: Weights, anchor: Weights, fisher: Weights) -> Tensor:
    """Returns ``1/2 sum F (weight - anchor)^2`` over all weights that have an anchor."""
    terms = [(fisher[name] * (weights[name] - start).square()).sum() for name, start in anchor.items()]
    return 0.5 * torch.stack(terms).sum()


class ElasticLoss:
    """A loss with the elastic penalty: ``loss + strength / 2 sum F (weight - anchor)^2``.

    Args:
        loss: Loss of the new requests.
        model: Model whose present trained weights are the anchor.
        fisher: Diagonal of the Fisher information by name.
        strength: Weight of the penalty. The loss is a mean over targets and the Fisher information one over requests;
            the ratio of earlier to new requests counts each earlier request as much as each new one.
    """

    def __init__(self, loss: Loss, model: nn.Module, fisher: Weights, strength: float) -> None:
        self.loss, self.sampler, self.gives_probabilities = loss, loss.sampler, loss.gives_probabilities
        self.anchor = {name: weight.detach().clone() for name, weight in trained_weights(model).items()}
        self.fisher, self.strength = dict(fisher), strength

    def __call__(self, model: SeasonalRecommender, batch: SequenceBatch, reading: Reading | None = None) -> Tensor:
        weights = dict(model.named_parameters())
        device = next(iter(weights.values())).device
        for table in (self.anchor, self.fisher):
            table.update({name: value.to(device) for name, value in table.items()})
        return self.loss(model, batch, reading) + self.strength * elastic_penalty(weights, self.anchor, self.fisher)
