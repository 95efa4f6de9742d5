"""A moving average over the last baskets."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.data.spec import SECONDS_PER_DAY
from seasonrec.errors import UserError
from seasonrec.models.components import SequenceReading, at_requests
from seasonrec.models.kernels.matmul import Linear, zeroed
from seasonrec.models.temporal.baskets import Baskets, take
from seasonrec.ranges import Length, ranged

HALF_LIFE_DAYS = 28.0
"""Half-life of ``weights=exponential`` at the start of training."""


@ranged("temporal")
class MovingAverageTemporal(nn.Module):
    """A gated move of the query towards the weighted mean of the user's last baskets.

    A basket's vector is the mean of the backbone's outputs at its events. A gate reads the query and the mean, and
    decides for every dimension how far the query moves. The gate starts at zero, so that the module starts as the
    identity. The start vector counts as the basket before the first.

    Args:
        window: Largest number of baskets in the average.
        weights: ``learned``: one weight for the last basket, one for the basket before it, and so on; equal at the
            start. ``exponential``: decay with the time from the basket to the request, with a learned half-life.

    Shape:
        - hidden: ``(B, T + 1, D)``; query: ``(N, D)``.

    Raises:
        ValueError: If ``window`` is below 1, or ``weights`` is unknown.

    References:
        Hu et al., Modeling Personalized Item Frequency Information for Next-basket Recommendation, SIGIR 2020, weight
        the baskets of a user by their age. Departures: outputs of a backbone are averaged instead of item counts; age
        is real time, or weights are free; the average refines the query instead of replacing it.
    """

    changes_hidden = True

    def __init__(
        self, window: Length = 8, weights: Literal["learned", "exponential"] = "learned", *, facts: Facts
    ) -> None:
        super().__init__()
        if weights not in ("learned", "exponential"):
            raise UserError(f"temporal.weights must be learned or exponential, got {weights!r}; choose one of them.")
        self.window = window
        self.place_logits = nn.Parameter(torch.zeros(window)) if weights == "learned" else None
        self.log_half_life = nn.Parameter(torch.tensor(math.log(HALF_LIFE_DAYS))) if weights == "exponential" else None
        self.gate = zeroed(Linear(2 * facts.embedding_dim, facts.embedding_dim))

    def forward(self, hidden: Tensor, batch: SequenceBatch) -> SequenceReading:
        baskets = Baskets.of(batch)
        ends, exists = baskets.last(batch, self.window)
        window = batch.request_window[:, None]
        vectors = take(baskets.running_means(hidden), window, ends)  # (N, window, D)
        ages_s = batch.request_time_s[:, None] - baskets.times_s[window, ends]
        weights = self._logits(ages_s).masked_fill(~exists, float("-inf")).softmax(dim=1)
        mean = (weights[:, None, :].to(vectors.dtype) @ vectors).squeeze(1)
        query = at_requests(hidden, batch)
        gate = torch.tanh(self.gate(torch.cat([query, mean], dim=1)))
        return SequenceReading(query + gate * (mean - query))

    def _logits(self, ages_s: Tensor) -> Tensor:
        """Returns ``(N, window)`` log weights for baskets of the given ages, the nearest first."""
        if self.log_half_life is not None:
            return -math.log(2) * (ages_s / SECONDS_PER_DAY) / self.log_half_life.exp()
        assert self.place_logits is not None
        return self.place_logits.expand(len(ages_s), -1)
