"""Interface of a loss over the next items."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.sampling import NegativeSampler
from seasonrec.models.recommender import Reading, SeasonalRecommender


class Loss(Protocol):
    """Loss of a model's scores against the next items; the constructor takes options, then ``*, facts: Facts``.

    Attributes:
        sampler: Draws the items on which a training batch is scored; None for the whole catalogue.
        gives_probabilities: Whether a softmax over the scores gives the true probabilities at its minimum. Bits then
            measure the quality of the model.
    """

    sampler: NegativeSampler | None
    gives_probabilities: bool

    def __call__(self, model: SeasonalRecommender, batch: SequenceBatch, reading: Reading | None = None) -> Tensor:
        """Returns a scalar, the mean over the batch's ``M`` targets, in nats; 0 without targets.

        Args:
            model: The recommender.
            batch: Its requests and targets.
            reading: Result of ``model.read(batch)``, if the caller has it.
        """
        ...


@runtime_checkable
class StartsBias(Protocol):
    """Loss at whose minimum a score without features is not the logarithm of the item's share.

    The head's bias starts at the log share, which is the minimum of a softmax. With another loss, training would first
    have to move every bias. AdamW moves all of them at the same rate, however popular the items are, so that the model
    forgets popularity before it learns anything else.
    """

    def starting_bias(self, log_share: Tensor) -> Tensor:
        """Returns the bias ``(V,)`` of the minimum, from the logarithms ``(V,)`` of the items' target shares."""
        ...


def start_bias(head: nn.Module, loss: Loss) -> None:
    """Sets the bias of an untrained head to the start of a loss that has one.

    Args:
        head: Head whose ``bias``, if it has one, holds the log shares.
        loss: Loss of its training.
    """
    bias = getattr(head, "bias", None)
    if isinstance(loss, StartsBias) and isinstance(bias, nn.Parameter):
        with torch.no_grad():
            bias.copy_(loss.starting_bias(bias))
