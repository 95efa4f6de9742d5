"""Sequences as they are."""

from __future__ import annotations

import numpy as np

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.data.log import EventLog


class NoAugmentation:
    """Gives the very batch that came in and draws nothing."""

    def __init__(self, *, facts: Facts, log: EventLog | None) -> None:
        pass

    def __call__(self, batch: SequenceBatch, random: np.random.Generator) -> SequenceBatch:
        return batch
