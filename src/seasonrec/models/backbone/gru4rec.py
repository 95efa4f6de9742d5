"""GRU4Rec: a gated recurrent unit over the event sequence."""

from __future__ import annotations

from torch import Tensor, nn

from seasonrec.batches.facts import Facts
from seasonrec.models.kernels.dropout import Dropout
from seasonrec.ranges import BelowOne, Depth, ranged


@ranged("backbone")
class GRU4Rec(nn.Module):
    """Recurrent sequential recommendation: each step reads one event's item vector.

    Padding follows the events, so that no event reads it.

    Args:
        num_layers: Stacked GRU layers.
        dropout: Dropout on the inputs.

    Shape:
        - inputs: ``(B, T + 1, D)``; is_padding: ``(B, T + 1)`` bool; output: ``(B, T + 1, D)``.

    Raises:
        ValueError: If ``num_layers`` is below 1.

    References:
        Hidasi et al., Session-based Recommendations with Recurrent Neural Networks, ICLR 2016.

    Departures from the paper and its authors' code:

    - A sequence is the user's last events over all baskets, not one session, and there are no session-parallel batches.
    - Position 0 is a learned start vector, so that a user without events has a query.
    - The items of the output are those of the input, one table of vectors.
    - Inputs and outputs are normalised, as in SASRec: the item vectors start small, and without it two epochs learn
      nothing beyond popularity.
    - No activation after the last layer, and dropout on the inputs instead of on the states.
    - The default model around it has the full softmax over the items of the next basket, a set, and a head with a bias
      that starts at the log popularity and dropout 0.5 on the query. The paper has TOP1 or BPR against the other items
      of a batch; ``loss=bpr`` is the nearest.
    """

    def __init__(self, num_layers: Depth = 1, dropout: BelowOne = 0.3, *, facts: Facts) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.input_norm = nn.LayerNorm(facts.embedding_dim)
        self.output_norm = nn.LayerNorm(facts.embedding_dim)
        self.recurrence = nn.GRU(facts.embedding_dim, facts.embedding_dim, num_layers, batch_first=True)

    def forward(self, inputs: Tensor, is_padding: Tensor) -> Tensor:
        states, _ = self.recurrence(self.dropout(self.input_norm(inputs)))
        normalised: Tensor = self.output_norm(states)
        return normalised
