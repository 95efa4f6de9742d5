"""A gated recurrent unit over the backbone's output and the time between baskets."""

from __future__ import annotations

from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.models.components import SequenceReading, at_requests
from seasonrec.models.kernels.matmul import Linear
from seasonrec.models.temporal.recurrence import BasketRecurrence


class GRUTemporal(nn.Module):
    """A GRU over baskets and the gaps between them; its last state is added to the query.

    The output projection starts at zero, so that the module starts as the identity.

    Args:
        num_layers: Stacked GRU cells.

    Shape:
        - hidden: ``(B, T + 1, D)``; query: ``(N, D)``.

    Raises:
        ValueError: If there is no layer.

    References:
        Hidasi et al., Session-based Recommendations with Recurrent Neural Networks, ICLR 2016. Departures: the GRU
        refines a backbone instead of reading item embeddings, and each step reads a basket.
    """

    changes_hidden = True

    def __init__(self, num_layers: int = 1, *, facts: Facts) -> None:
        super().__init__()
        width = facts.embedding_dim
        self.recurrence = BasketRecurrence(nn.GRUCell, width, num_layers)
        self.out = Linear(width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, hidden: Tensor, batch: SequenceBatch) -> SequenceReading:
        return SequenceReading(at_requests(hidden, batch) + self.out(self.recurrence(hidden, batch).after))
