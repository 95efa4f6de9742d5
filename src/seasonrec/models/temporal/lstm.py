"""A long short-term memory over the backbone's output and the time between baskets."""

from __future__ import annotations

from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.models.components import SequenceReading, at_requests
from seasonrec.models.kernels.matmul import Linear
from seasonrec.models.temporal.recurrence import BasketRecurrence


class LSTMTemporal(nn.Module):
    """An LSTM over baskets and the gaps between them; its last state is added to the query.

    The output projection starts at zero, so that the module starts as the identity.

    Args:
        num_layers: Stacked LSTM cells.

    Shape:
        - hidden: ``(B, T + 1, D)``; query: ``(N, D)``.

    Raises:
        ValueError: If there is no layer.

    References:
        Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 1997. Zhu et al., What to Do Next:
        Modeling User Behaviors by Time-LSTM, IJCAI 2017, give the interval its own gates. Departure: here the interval
        is one more input.
    """

    changes_hidden = True

    def __init__(self, num_layers: int = 1, *, facts: Facts) -> None:
        super().__init__()
        width = facts.embedding_dim
        self.recurrence = BasketRecurrence(nn.LSTMCell, width, num_layers)
        self.out = Linear(width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, hidden: Tensor, batch: SequenceBatch) -> SequenceReading:
        return SequenceReading(at_requests(hidden, batch) + self.out(self.recurrence(hidden, batch).after))
