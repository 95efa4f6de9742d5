"""What stands between a target and its readers: one that looks on, and one that adds a perturbation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seasonrec.errors import UserError
from seasonrec.training.adversarial.perturbation import radii

Deltas = Sequence[Tensor | None]
"""A perturbation for every time that a pass comes by the target; None for none. Mostly it comes by once."""


class PerturbationError(UserError):
    """A perturbed pass did not go as the clean one did."""


@dataclass
class Met:
    """One time that the clean pass came by the target.

    Args:
        shape: Of the vectors.
        device: Of the vectors.
        radius: Of size 1, see :func:`~seasonrec.training.adversarial.perturbation.radii`.
        is_padding: ``(B, T + 1)`` bool or None.
        gradient: Of the pass's loss, once it was taken; None where it is not kept or the loss does not depend on them.
            It may share its memory with that of a weight, so that nothing is written into it.
    """

    shape: torch.Size
    device: torch.device
    radius: Tensor
    is_padding: Tensor | None
    gradient: Tensor | None = None


class Watch:
    """Notes every tensor that comes by, and the gradient that flows back through it; changes no value.

    Args:
        keeps_gradient: Whether gradients are kept. Then only what is computed with a gradient is noted.
    """

    def __init__(self, keeps_gradient: bool) -> None:
        self.keeps_gradient = keeps_gradient
        self.met: list[Met] = []

    def __call__(self, vectors: Tensor, is_padding: Tensor | None) -> Tensor:
        if self.keeps_gradient and not torch.is_grad_enabled():
            return vectors
        met = Met(vectors.shape, vectors.device, radii(vectors, is_padding), is_padding)
        self.met.append(met)
        return _kept(vectors, met) if self.keeps_gradient else vectors


class Shift:
    """Adds a perturbation to every tensor that comes by.

    Args:
        deltas: In the order of the clean pass, float32.
        target: For the error.
        needs_gradient: Whether only what is computed with a gradient is shifted, as a :class:`Watch` with gradients
            noted it.
    """

    def __init__(self, deltas: Deltas, target: str, needs_gradient: bool) -> None:
        self.deltas = deltas
        self.target = target
        self.needs_gradient = needs_gradient
        self.calls = 0

    def __call__(self, vectors: Tensor, is_padding: Tensor | None) -> Tensor:
        if self.needs_gradient and not torch.is_grad_enabled():
            return vectors
        delta = self.deltas[self.calls] if self.calls < len(self.deltas) else None
        self._check(vectors, delta)
        self.calls += 1
        return vectors if delta is None else vectors + delta.to(vectors.dtype)

    def check_all_added(self) -> None:
        """Refuses a pass that came by less often than the clean one.

        Raises:
            PerturbationError: Names both numbers.
        """
        if self.calls != len(self.deltas):
            raise PerturbationError(self._message(f"{len(self.deltas)} times", f"{self.calls}"))

    def _check(self, vectors: Tensor, delta: Tensor | None) -> None:
        if self.calls >= len(self.deltas):
            raise PerturbationError(self._message(f"{len(self.deltas)} times", f"{self.calls + 1}"))
        if delta is not None and delta.shape != vectors.shape:
            raise PerturbationError(self._message(f"with shape {tuple(delta.shape)}", f"{tuple(vectors.shape)}"))

    def _message(self, expected: str, got: str) -> str:
        return (
            f"an adversarial pass must meet the target {self.target!r} as the clean pass did, {expected}, got {got}; a "
            "part that draws other inputs in every pass cannot be combined with adversarial training on this target."
        )


def _kept(vectors: Tensor, met: Met) -> Tensor:
    """The same values as a tensor of its own, whose gradient ends up in ``met``."""
    if vectors.requires_grad:
        seen = vectors.view_as(vectors)  # a parameter's own hook would also see what reaches it on other ways
        seen.register_hook(lambda gradient: setattr(met, "gradient", gradient))  # type: ignore[no-untyped-call]
        return seen
    seen = vectors.detach().requires_grad_()  # frozen texts
    seen.register_post_accumulate_grad_hook(lambda leaf: _take(leaf, met))  # type: ignore[no-untyped-call]
    return seen


def _take(leaf: Tensor, met: Met) -> None:
    met.gradient, leaf.grad = leaf.grad, None
