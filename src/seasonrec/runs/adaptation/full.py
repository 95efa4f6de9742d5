"""The adaptation that trains all weights on the newest period."""

from __future__ import annotations

from dataclasses import dataclass

from seasonrec.ranges import ranged
from seasonrec.runs.adaptation.base import FineTuning, Update, UpdatePlace, fine_tuned
from seasonrec.runs.run import Run


@ranged("adaptation")
@dataclass(frozen=True)
class Full(FineTuning):
    """Fine-tuning of all weights on the newest period alone."""

    def __call__(self, run: Run, place: UpdatePlace) -> Update:
        return fine_tuned(run, place, self)
