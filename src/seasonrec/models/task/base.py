"""The interface of further tasks: what a head reads and what it returns.

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
"""Name of the task that every model has: the head's scores over the catalogue."""

Kind = Literal["binary", "amount", "ranking"]
"""The kind of a task's samples; it decides the metrics.

- ``binary``: prediction ``(P,)`` logits, truth ``(P,)`` 0 or 1.
- ``amount``: prediction ``(P,)`` or quantiles ``(P, 3)`` (0.1, 0.5, 0.9), truth ``(P,)`` at or above 0.
- ``ranking``: prediction ``(P, C)`` scores, ``-inf`` where an item is no candidate; truth ``(P, C)`` bool, True for
  relevant items, at least one in each row; or float, the degree of relevance, at or above 0 and not all 0.
"""


@dataclass(frozen=True)
class TaskFeatures:
    """The inputs of a head.

    Args:
        query: ``(N, D)`` queries: the sequence at the request time, after sharing for this task.
        items: The ``C`` items that are scored, with their vectors.
        read: Encodes another batch, for example an augmented view of this one, as ``(N, D)``.
        scores: Returns the next item's logits ``(N, C)`` in float32, with season and habit, ``-inf`` for items that are
            no candidates. A head that ranks items may start from them. Without a sample they are ``N * V`` numbers at
            once, whatever the loss is.
    """

    query: Tensor
    items: ScoredItems
    read: Callable[[SequenceBatch], Tensor]
    scores: Callable[[], Tensor]


@dataclass(frozen=True)
class TaskOutput:
    """The result of a head for one batch.

    Args:
        loss: Scalar, a mean over the task's own samples; 0 (with a gradient) where the batch holds none.
        prediction: The head's predictions, without gradient; see :data:`Kind`.
        truth: The observed values.
        censored: ``(P,)`` bool, True where ``truth`` is only a lower bound; None if all are exact.
        start: The prediction of the head's baseline (its own weights at their start), or None. The baseline uses the
            next item's scores or counts; its metrics are reported beside those of ``prediction``.
    """

    loss: Tensor
    prediction: Tensor
    truth: Tensor
    censored: Tensor | None = None
    start: Tensor | None = None


class TaskHead(Protocol):
    """A further task: its head, its labels and its loss. The yaml file names it.

    An ``nn.Module``; the constructor takes its options, then ``*, facts: Facts``.

    Attributes:
        reads: Contexts that it reads beside the query.
        labels: Labels of each request that it needs.
        kind: See :data:`Kind`.
        is_series: True for a time-series loss, weighted by ``lambda_t``; False for a recommendation task.
    """

    reads: tuple[Context, ...]
    labels: tuple[Labels, ...]
    kind: Kind
    is_series: bool

    def __call__(self, features: TaskFeatures, batch: SequenceBatch, context: ContextValues) -> TaskOutput:
        """Returns loss and predictions; reads labels from ``batch.labels``, contexts only from ``context``."""
        ...
