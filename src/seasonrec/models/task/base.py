"""Base class of further tasks, with the inputs and outputs of a head.

Letters: ``N`` requests, ``C`` items that are scored, ``D`` width, ``P`` samples of the task.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.context.base import Context
from seasonrec.batches.labels.base import Labels
from seasonrec.models.components import ContextValues
from seasonrec.models.scoring import ScoredItems

MAIN_TASK = "next_item"
"""Name of the task that every model has."""

Kind = Literal["binary", "amount", "ranking"]
"""The kind of a task's samples, which decides the metrics.

- ``binary``: prediction ``(P,)`` logits, truth ``(P,)`` 0 or 1.
- ``amount``: prediction ``(P,)`` or quantiles ``(P, 3)`` (0.1, 0.5, 0.9), truth ``(P,)`` at or above 0.
- ``ranking``: prediction ``(P, C)`` scores, ``-inf`` for items that are no candidates; truth ``(P, C)`` bool, True for
  relevant items, or float degrees of relevance at or above 0. Each row has a relevant item.
"""


@dataclass(frozen=True)
class TaskFeatures:
    """The inputs of a head.

    Args:
        query: ``(N, D)`` queries of the requests, after the season and the sharing for this task.
        items: The ``C`` items that are scored, with their vectors.
        read: Encodes another batch, for example an augmented view of this one, as queries ``(N, D)``.
        scores: Returns the next item's logits ``(N, C)`` in float32, with season and habit, ``-inf`` for items that are
            no candidates. A head that ranks items may start from them. Without a sample, they take the memory of
            ``N * V`` numbers whatever the loss is.
    """

    query: Tensor
    items: ScoredItems
    read: Callable[[SequenceBatch], Tensor]
    scores: Callable[[], Tensor]


@dataclass(frozen=True)
class TaskOutput:
    """The result of a head for one batch.

    Args:
        loss: Scalar, a mean over the task's own samples; 0 (with a gradient) if the batch has none.
        prediction: The head's predictions, without gradient; see :data:`Kind`.
        truth: The observed values.
        censored: ``(P,)`` bool, True if ``truth`` is only a lower bound; None if all values are exact.
        start: The prediction of the head's baseline, or None. The baseline is the head with untrained weights of its
            own, or a count; its metrics are reported beside those of ``prediction``.
    """

    loss: Tensor
    prediction: Tensor
    truth: Tensor
    censored: Tensor | None = None
    start: Tensor | None = None


class TaskHead(nn.Module, ABC):
    """Base class of a further task: its head, its labels and its loss.

    The constructor takes the options, then ``*, facts: Facts``.

    Attributes:
        kind: See :data:`Kind`.
        is_series: True for a time-series loss, weighted by ``lambda_t``; False for a recommendation task.
        default_weight: Weight of a recommendation task's loss under ``balancing=fixed``, where the next item has 1.
        compares_users: True if the other users of a batch are the candidates, so that metrics depend on the batch.
        reads: Contexts that it reads beside the query.
        labels: Labels of each request that it needs.
    """

    kind: Kind
    is_series = False
    default_weight = 1.0
    compares_users = False
    reads: tuple[Context, ...] = ()
    labels: tuple[Labels, ...] = ()

    @abstractmethod
    def forward(self, features: TaskFeatures, batch: SequenceBatch, context: ContextValues) -> TaskOutput:
        """Returns loss and predictions; reads labels from ``batch.labels``, contexts only from ``context``."""
