"""No model of the demand."""

from __future__ import annotations

from torch import nn

from seasonrec.batches.context.demand import DemandContext
from seasonrec.batches.facts import Facts


class NoDemand(nn.Module):
    """No expected demand: nothing reads it."""

    context: DemandContext | None = None

    def __init__(self, *, facts: Facts) -> None:
        super().__init__()
