"""Weights of a mixture of probabilities, of maximum likelihood."""

from __future__ import annotations

from torch import Tensor

FLOOR = 1e-12

SMALLEST_WEIGHT = 1e-5
"""Smallest weight of the uniform part, so that every candidate has a probability."""


def fit_mixture(probabilities: Tensor, present: Tensor, steps: int = 200) -> Tensor:
    """Returns the weights of a mixture that maximise the likelihood of the observed targets, by EM.

    A part that is absent gives its weight to the other ones: the mixture is divided by the weight of the parts that are
    present. The draws of absent parts that this rule repeats are missing data as well, and EM fills them in.

    Args:
        probabilities: ``(M, K)``, probability of each of ``M`` observed targets under each of ``K`` parts; it is above
            0 under at least one of them.
        present: ``(M, K)`` bool, whether the part has any probability at the target's request.
        steps: Iterations.

    Returns:
        ``(K,)`` weights at or above 0 that sum to 1.

    References:
        Dempster, Laird and Rubin, Maximum Likelihood from Incomplete Data via the EM Algorithm, JRSS B 1977, section
        4.2 for truncated data.
    """
    probabilities, there = probabilities.double(), present.double()
    weights = probabilities.new_full((probabilities.shape[1],), 1.0 / probabilities.shape[1])
    gone = 1.0 - there
    for _ in range(steps):
        joint = probabilities * weights
        drawn = (joint / joint.sum(1, keepdim=True).clamp(min=FLOOR)).sum(0)
        repeated = weights * (gone / (there @ weights)[:, None]).sum(0)
        weights = drawn + repeated
        weights = weights / weights.sum()
    return weights.float()


def with_floor(weights: Tensor, uniform: int) -> Tensor:
    """Returns the weights with at least :data:`SMALLEST_WEIGHT` at the place of the uniform part."""
    weights = weights.clone()
    weights[uniform] = weights[uniform].clamp(min=SMALLEST_WEIGHT)
    return weights / weights.sum()
