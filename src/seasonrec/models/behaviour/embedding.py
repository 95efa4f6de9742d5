"""Learned vectors of behaviours."""

from __future__ import annotations

from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.errors import UserError


class BehaviourEmbedding(nn.Module):
    """Learned vector of each behaviour, added to the vectors of its events in the sequence.

    The backbone can then read a view, a cart and a purchase of one item as three different events. Scored items stay
    as they are.

    Shape:
        - events: ``(B, T, D)``; output: ``(B, T, D)``, unchanged where there is no event.

    Raises:
        ValueError: If the events of the log have no behaviours.
    """

    def __init__(self, *, facts: Facts) -> None:
        super().__init__()
        if not facts.spec.behaviours:
            raise UserError(
                "behaviour=embedding needs events with behaviours, and this log has none; name their column, "
                "data.behaviour_column=NAME, or set behaviour=none."
            )
        self.vectors = nn.Embedding(len(facts.spec.behaviours), facts.embedding_dim)
        nn.init.normal_(self.vectors.weight, std=0.02)

    def forward(self, events: Tensor, batch: SequenceBatch) -> Tensor:
        if batch.behaviours is None:
            raise UserError("behaviour=embedding needs batches with behaviours; build them from the run's own log.")
        told = self.vectors(batch.behaviours)  # (B, T, D)
        return events + told.masked_fill(batch.is_padding[..., None], 0.0)
