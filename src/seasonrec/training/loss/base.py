"""What a loss over the next items is to the training module."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.sampling import NegativeSampler
from seasonrec.models.recommender import Reading, SeasonalRecommender


class Loss(Protocol):
    """How far a model's scores are from the items that were chosen.

    A loss's constructor takes its options, then ``*, facts: Facts``.

    Attributes:
        sampler: Draws the items that a training batch is scored on; None for the whole catalogue.
        gives_probabilities: Whether it is least where a softmax over the scores gives the true probabilities, so that
            bits measure what was learnt.
    """

    sampler: NegativeSampler | None
    gives_probabilities: bool

    def __call__(self, model: SeasonalRecommender, batch: SequenceBatch, reading: Reading | None = None) -> Tensor:
        """A scalar, the mean over the batch's ``M`` targets, in nats.

        Args:
            model: The recommender.
            batch: Its requests and targets.
            reading: What ``model.read(batch)`` gave, where the caller has it.
        """
        ...
