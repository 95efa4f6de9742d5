"""What a head of a further task is given, and what it must give.

Letters: ``N`` requests, ``C`` items that are scored, ``D`` width, ``P`` samples of the task.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.context.base import Context
from seasonrec.batches.labels.base import Labels
from seasonrec.models.components import ContextValues
from seasonrec.models.scoring import ScoredItems

MAIN_TASK = "next_item"
"""Name of the task that every model has: the head, scored over the catalogue."""

Kind = Literal["binary", "amount", "ranking"]
"""What a task's samples are, which decides its metrics.

- ``binary``: prediction ``(P,)`` logits, truth ``(P,)`` 0 or 1.
- ``amount``: prediction ``(P,)`` or quantiles ``(P, 3)`` (0.1, 0.5, 0.9), truth ``(P,)`` at or above 0.
- ``ranking``: prediction ``(P, C)`` scores, ``-inf`` where an item is no candidate; truth ``(P, C)`` bool, what is
  relevant, at least one in each row; or float, how relevant it is, from 0 and not all 0.
"""


@dataclass(frozen=True)
class TaskFeatures:
    """What a head may read.

    Args:
        query: ``(N, D)``: what the sequence says, conditioned on the request time, as this task shares it.
        items: The ``C`` items that are scored, with their vectors.
        read: Reads another batch, for example an augmented view of this one, to ``(N, D)``.
        scores: Gives the logits ``(N, C)`` of the next item in float32, season and habit in them, ``-inf`` for items
            that are no candidates: where a head that ranks items may start. Without a sample that is ``N * V`` numbers
            at once, whatever the loss does.
    """

    query: Tensor
    items: ScoredItems
    read: Callable[[SequenceBatch], Tensor]
    scores: Callable[[], Tensor]


@dataclass(frozen=True)
class TaskOutput:
    """What a head says of one batch.

    Args:
        loss: Scalar, a mean over the task's own samples; 0 (with a gradient) where the batch holds none.
        prediction: What it foresees, without gradient; see :data:`Kind`.
        truth: What came.
        censored: ``(P,)`` bool, True where an amount is known to be no less than its truth; None where all are exact.
        start: As ``prediction``: what it would foresee if its own weights had learnt nothing, from the next item's
            scores or by counting; None where that is nothing. Its metrics stand beside those of ``prediction``.
    """

    loss: Tensor
    prediction: Tensor
    truth: Tensor
    censored: Tensor | None = None
    start: Tensor | None = None


class TaskHead(Protocol):
    """A further task: its head, its labels and its loss. Its name is that of its yaml.

    An ``nn.Module``; the constructor takes its options, then ``*, facts: Facts``.

    Attributes:
        reads: Contexts that it reads beyond the query.
        labels: What it must be told of each request.
        kind: See :data:`Kind`.
        is_series: True for a time-series loss, which ``lambda_t`` weighs; False for a recommendation task.
    """

    reads: tuple[Context, ...]
    labels: tuple[Labels, ...]
    kind: Kind
    is_series: bool

    def __call__(self, features: TaskFeatures, batch: SequenceBatch, context: ContextValues) -> TaskOutput:
        """Reads its labels from ``batch.labels``, and of the batch's contexts those in ``context`` alone."""
        ...
