"""Saved and restored states of the random numbers of a run."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class RandomNumbers:
    """State of torch's generators.

    Args:
        cpu: State of the CPU's generator.
        cuda: State of the current GPU's; None without a GPU in use.
    """

    cpu: Tensor
    cuda: Tensor | None

    @staticmethod
    def now() -> RandomNumbers:
        """Returns the current state."""
        on_gpu = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        return RandomNumbers(torch.get_rng_state(), torch.cuda.get_rng_state() if on_gpu else None)

    def restore(self) -> None:
        """Restores the state, so that the same numbers are drawn again."""
        torch.set_rng_state(self.cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda)
