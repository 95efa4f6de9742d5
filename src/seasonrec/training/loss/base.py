"""Interface of a loss over the next items."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

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
        """Returns a scalar, the mean over the batch's ``M`` targets, in nats.

        Args:
            model: The recommender.
            batch: Its requests and targets.
            reading: Result of ``model.read(batch)``, if the caller has it.
        """
        ...
