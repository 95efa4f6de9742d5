"""The random numbers of a run, put back to where they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class RandomNumbers:
    """Where torch's generators stand.

    Args:
        cpu: State of the CPU's.
        cuda: State of the current GPU's; None where no GPU is in use.
    """

    cpu: Tensor
    cuda: Tensor | None

    @staticmethod
    def now() -> RandomNumbers:
        """Where they stand now."""
        on_gpu = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        return RandomNumbers(torch.get_rng_state(), torch.cuda.get_rng_state() if on_gpu else None)

    def restore(self) -> None:
        """Has what follows draw again what was drawn from here on."""
        torch.set_rng_state(self.cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda)

    @staticmethod
    @contextmanager
    def kept() -> Iterator[None]:
        """Has what follows it draw as if nothing had been drawn within it."""
        state = RandomNumbers.now()
        try:
            yield
        finally:
            state.restore()
