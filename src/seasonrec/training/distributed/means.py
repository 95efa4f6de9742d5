"""Means over a whole pass that do not depend on the number of processes."""

from __future__ import annotations

import torch
from torch import Tensor, distributed

from seasonrec.batches.sharding import Shard


class PassMeans:
    """Means of values that arrive in batches, over all values of all processes with the same weight.

    Lightning's ``sync_dist`` is not used: Lightning 2.6 rounds the mean number of values per process to an integer
    (1,001 values in two processes count as 2 * 500).
    """

    def __init__(self) -> None:
        self._totals: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, name: str, values: Tensor) -> None:
        """Adds the values ``(M,)`` of one batch, on any device."""
        total = values.mean() * len(values) if len(values) else values.sum()
        self._totals[name] = self._totals[name] + total if name in self._totals else total
        self._counts[name] = self._counts.get(name, 0) + len(values)

    def take(self) -> dict[str, Tensor]:
        """Returns the means by name and resets them; every process must call it with the same names."""
        names = list(self._totals)
        if not names:
            return {}
        totals = torch.stack([self._totals[name] for name in names]).double()
        counts = torch.tensor([self._counts[name] for name in names], dtype=torch.float64, device=totals.device)
        self.__init__()  # type: ignore[misc]
        if Shard.current().world_size > 1:
            both = torch.stack([totals, counts])
            distributed.all_reduce(both)
            totals, counts = both
        return dict(zip(names, (totals / counts).float(), strict=True))
