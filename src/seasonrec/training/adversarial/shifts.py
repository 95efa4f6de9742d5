"""Changes of a target's vectors on the way to its readers: `Watch` records them, `Shift` adds a perturbation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from seasonrec.errors import UserError
from seasonrec.training.adversarial.perturbation import radii

Deltas = Sequence[Tensor | None]
"""One perturbation per call of the target in a pass, or None for no perturbation; a pass mostly calls it once."""


class PerturbationError(UserError):
    """A perturbed pass differs from the clean pass in more than the perturbation."""


@dataclass
class TargetCall:
    """One call of the target in the clean pass.

    Args:
        shape: Shape of the vectors.
        device: Device of the vectors.
        radius: Radius of size 1, see :func:`~seasonrec.training.adversarial.perturbation.radii`.
        is_padding: ``(B, T + 1)`` bool or None.
        gradient: Gradient of the pass's loss; None before the backward pass, where it is not kept, or where the loss
            does not depend on the vectors. It may share memory with a weight's gradient and must not be written to.
    """

    shape: torch.Size
    device: torch.device
    radius: Tensor
    is_padding: Tensor | None
    gradient: Tensor | None = None


@dataclass
class Watch:
    """Records every call of the target and its gradient; changes no value.

    Args:
        keeps_gradient: Whether gradients are kept; then only calls with gradients enabled are recorded.
        calls: The recorded calls.
    """

    keeps_gradient: bool
    calls: list[TargetCall] = field(default_factory=list)

    def __call__(self, vectors: Tensor, is_padding: Tensor | None) -> Tensor:
        if self.keeps_gradient and not torch.is_grad_enabled():
            return vectors
        call = TargetCall(vectors.shape, vectors.device, radii(vectors, is_padding), is_padding)
        self.calls.append(call)
        return _kept(vectors, call) if self.keeps_gradient else vectors


@dataclass
class Shift:
    """Adds a perturbation at every call of the target.

    Args:
        deltas: Perturbations in the order of the clean pass, float32.
        target: Name of the target, for errors.
        needs_gradient: Whether only calls with gradients enabled are shifted, those that a :class:`Watch` with
            gradients records.
        calls: Number of calls so far.
    """

    deltas: Deltas
    target: str
    needs_gradient: bool
    calls: int = 0

    def __call__(self, vectors: Tensor, is_padding: Tensor | None) -> Tensor:
        if self.needs_gradient and not torch.is_grad_enabled():
            return vectors
        delta = self.deltas[self.calls] if self.calls < len(self.deltas) else None
        self._check(vectors, delta)
        self.calls += 1
        return vectors if delta is None else vectors + delta.to(vectors.dtype)

    def check_all_added(self) -> None:
        """Checks that the pass called the target as often as the clean pass.

        Raises:
            PerturbationError: If it did not; the message names both numbers.
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
            f"an adversarial pass must call the target {self.target!r} as the clean pass did, {expected}, got {got}; a "
            "component that draws other inputs in every pass does not work with adversarial training on this target."
        )


def _kept(vectors: Tensor, call: TargetCall) -> Tensor:
    """Returns the same values as a separate tensor, whose gradient is stored in ``call``."""
    if vectors.requires_grad:
        seen = vectors.view_as(vectors)  # a hook of the parameter would also see gradients from other paths
        seen.register_hook(lambda gradient: setattr(call, "gradient", gradient))  # type: ignore[no-untyped-call]
        return seen
    seen = vectors.detach().requires_grad_()  # vectors of frozen texts
    seen.register_post_accumulate_grad_hook(lambda leaf: _take(leaf, call))  # type: ignore[no-untyped-call]
    return seen


def _take(leaf: Tensor, call: TargetCall) -> None:
    call.gradient, leaf.grad = leaf.grad, None
