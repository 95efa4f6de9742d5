"""A gated recurrent unit over the backbone's output and the time between baskets."""

from __future__ import annotations

from torch import nn

from seasonrec.batches.facts import Facts
from seasonrec.models.temporal.recurrence import RecurrentTemporal
from seasonrec.ranges import Depth, ranged


@ranged("temporal")
class GRUTemporal(RecurrentTemporal):
    """A GRU over baskets and the gaps between them; its projected last state is added to the query.

    Args:
        num_layers: Stacked GRU cells.

    Shape:
        - hidden: ``(B, T + 1, D)``; query: ``(N, D)``.

    Raises:
        ValueError: If ``num_layers`` is below 1.

    References:
        Hidasi et al., Session-based Recommendations with Recurrent Neural Networks, ICLR 2016. Departures: the GRU
        refines a backbone instead of reading item embeddings, and each step reads a basket.
    """

    def __init__(self, num_layers: Depth = 1, *, facts: Facts) -> None:
        super().__init__(nn.GRUCell, facts.embedding_dim, num_layers)
