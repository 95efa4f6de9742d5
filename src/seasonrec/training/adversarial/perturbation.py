"""Perturbations as pure functions of tensors: radii, gradient steps, projections, random starts, divergence.

Each entry of a tensor's first dimension is a block, which is perturbed within its own L2 ball. In a table of item or
text vectors ``(R, D)`` a block is a row; in the backbone's inputs ``(B, T + 1, D)`` it is a sequence, as in Miyato et
al. (2017).

Radii are relative. Size 1 is the norm of a block whose vectors all have the tensor's mean vector norm. A model cannot
escape a relative perturbation by growing its embeddings; Miyato et al. normalise theirs for this reason.
"""

from __future__ import annotations

import torch
from torch import Tensor

LARGEST_EXPONENT = 120
"""Largest exponent of two for which float32 holds both the power and its inverse."""


def block_norms(tensor: Tensor) -> Tensor:
    """Returns the L2 norm of every block, float32.

    Shape:
        - tensor: ``(R, ..., D)``; output: ``(R, 1, ..., 1)``.
    """
    return tensor.flatten(1).float().norm(dim=1).view(-1, *[1] * (tensor.ndim - 1))


def radii(vectors: Tensor, is_padding: Tensor | None = None) -> Tensor:
    """Returns the radius of size 1 of every block: ``sqrt(n)`` times the mean vector norm, for ``n`` vectors.

    Args:
        vectors: ``(R, D)`` or ``(B, T + 1, D)``.
        is_padding: ``(B, T + 1)`` bool, True where there is no vector; None without padding.

    Returns:
        Float32 without a gradient, ``(1, 1)`` or ``(B, 1, 1)``.
    """
    norms = vectors.detach().float().norm(dim=-1)  # (R,) or (B, T + 1)
    if vectors.ndim == 2:
        return norms.mean().view(1, 1)
    is_real = (torch.ones_like(norms) if is_padding is None else ~is_padding).float()
    mean = (norms * is_real).sum() / is_real.sum().clamp(min=1)
    return mean * is_real.sum(1).sqrt()[:, None, None]


def unit(direction: Tensor) -> Tensor:
    """Scales every block to norm 1, float32; a block that is zero or not finite becomes zero.

    The squares of a gradient of 1e-25 are zero in float32, so that a block is first scaled by a power of two, which
    rounds nothing.
    """
    direction = direction.float()
    largest = direction.flatten(1).abs().amax(dim=1).view(-1, *[1] * (direction.ndim - 1))
    is_usable = torch.isfinite(largest) & (largest > 0)
    exponent = torch.frexp(torch.where(is_usable, largest, 1.0)).exponent.clamp(-LARGEST_EXPONENT, LARGEST_EXPONENT)
    scaled = torch.ldexp(torch.where(is_usable, direction, 0.0), -exponent)
    return scaled / block_norms(scaled).clamp(min=torch.finfo(torch.float32).tiny)


def project(delta: Tensor, radius: Tensor) -> Tensor:
    """Returns the nearest perturbation whose blocks have norms of at most ``radius``."""
    norms = block_norms(delta)
    return torch.where(norms > radius, delta * (radius / norms), delta)


def ascend(delta: Tensor, gradient: Tensor | None, step: Tensor, radius: Tensor) -> Tensor:
    """Takes one step of projected gradient ascent: ``step`` along each block's unit gradient, then the projection.

    A block whose gradient is None, zero or not finite does not move.
    """
    return delta if gradient is None else project(delta + step * unit(gradient), radius)


def random_start(shape: torch.Size, radius: Tensor, is_padding: Tensor | None, generator: torch.Generator) -> Tensor:
    """Draws uniform numbers within ``radius / sqrt(n)`` for a block of ``n`` numbers, which always lie in the ball.

    Args:
        shape: Shape of the perturbation.
        radius: Radius of its blocks.
        is_padding: Padding mask; the perturbation is zero there.
        generator: Source of the random numbers, on the device of the result.

    References:
        Zhu et al., FreeLB, ICLR 2020, algorithm 1, line 3.
    """
    noise = torch.empty(shape, device=generator.device).uniform_(-1.0, 1.0, generator=generator)
    noise = _without_padding(noise, is_padding)
    count = (noise != 0).flatten(1).sum(1).clamp(min=1).view(-1, *[1] * (len(shape) - 1))
    return noise * (radius / count.sqrt())


def random_unit(shape: torch.Size, is_padding: Tensor | None, generator: torch.Generator) -> Tensor:
    """Draws a uniform random direction for every block; arguments as in :func:`random_start`."""
    noise = torch.empty(shape, device=generator.device).normal_(generator=generator)
    return unit(_without_padding(noise, is_padding))


def divergence(clean: Tensor, perturbed: Tensor) -> Tensor:
    """Returns the mean over requests of the divergence ``KL(clean || perturbed)`` of the predictions, in nats.

    Args:
        clean: ``(N, C)`` logits, ``-inf`` where an item is no candidate.
        perturbed: ``(N, C)`` logits, ``-inf`` at the same places.
    """
    expected, found = torch.log_softmax(clean, dim=1), torch.log_softmax(perturbed, dim=1)
    gap = (expected - found).masked_fill(expected == float("-inf"), 0.0)
    return (expected.exp() * gap).sum(1).mean()


def _without_padding(noise: Tensor, is_padding: Tensor | None) -> Tensor:
    return noise if is_padding is None else noise.masked_fill(is_padding.unsqueeze(-1), 0.0)
