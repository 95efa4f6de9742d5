"""Mixtures of probabilities, with weights of maximum likelihood."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

FLOOR = 1e-12


def fit_mixture(probabilities: Tensor, steps: int = 200) -> Tensor:
    """Returns the weights of a mixture that maximise the likelihood of the observed targets, by EM.

    The log-likelihood is concave in the weights, so that the start does not matter.

    Args:
        probabilities: ``(M, C)``, probability of each of ``M`` observed targets under each of ``C`` components.
        steps: Iterations.

    Returns:
        ``(C,)`` weights at or above 0 that sum to 1.

    References:
        Dempster, Laird and Rubin, Maximum Likelihood from Incomplete Data via the EM Algorithm, JRSS B 1977.
    """
    probabilities = probabilities.double()
    weights = torch.full((probabilities.shape[1],), 1.0 / probabilities.shape[1], dtype=torch.double)
    for _ in range(steps):
        joint = probabilities * weights
        weights = (joint / joint.sum(1, keepdim=True).clamp(min=FLOOR)).mean(0)
        weights = weights / weights.sum()
    return weights.float()


def mix(components: Sequence[Tensor], weights: Tensor) -> Tensor:
    """Returns the weighted sum of component probabilities, all of one shape."""
    total = torch.zeros_like(components[0])
    for component, weight in zip(components, weights.tolist(), strict=True):
        total.add_(component, alpha=weight)
    return total
