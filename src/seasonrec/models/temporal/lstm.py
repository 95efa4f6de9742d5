"""A long short-term memory over the backbone's output and the time between baskets."""

from __future__ import annotations

from torch import nn

from seasonrec.batches.facts import Facts
from seasonrec.models.temporal.recurrence import RecurrentTemporal
from seasonrec.ranges import Depth, ranged


@ranged("temporal")
class LSTMTemporal(RecurrentTemporal):
    """An LSTM over baskets and the gaps between them; its projected last state is added to the query.

    Args:
        num_layers: Stacked LSTM cells.

    Shape:
        - hidden: ``(B, T + 1, D)``; query: ``(N, D)``.

    Raises:
        ValueError: If ``num_layers`` is below 1.

    References:
        Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 1997. Zhu et al., What to Do Next:
        Modeling User Behaviors by Time-LSTM, IJCAI 2017, give the interval its own gates. Departure: here the interval
        is one more input.
    """

    def __init__(self, num_layers: Depth = 1, *, facts: Facts) -> None:
        super().__init__(nn.LSTMCell, facts.embedding_dim, num_layers)
