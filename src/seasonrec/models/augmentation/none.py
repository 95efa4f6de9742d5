"""No augmentation of sequences."""

from __future__ import annotations

import numpy as np

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.data.log import EventLog


class NoAugmentation:
    """Identity, which draws no random numbers."""

    def __init__(self, *, facts: Facts, log: EventLog | None) -> None:
        pass

    def __call__(self, batch: SequenceBatch, random: np.random.Generator) -> SequenceBatch:
        return batch
