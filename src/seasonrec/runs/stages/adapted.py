"""The mark of weights that went on after their training, at an origin of a walk."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

from seasonrec.errors import UserError
from seasonrec.runs.opening import OpenData
from seasonrec.runs.run import Run
from seasonrec.runs.stages.base import Place
from seasonrec.training.fit import FitResult


@dataclass(frozen=True)
class Adapted:
    """Weights that learned weeks after the run's cuts; a walk writes this stage into the configuration of its models.

    The test part begins at the origin, so that an evaluation ranks nothing that the weights have learned.

    Args:
        origin_s: First second that the weights may be tested on.
        statistics_until_s: First second that the statistics of the components do not know.
    """

    origin_s: int
    statistics_until_s: int
    after: str = ""

    def known(self, data: OpenData) -> OpenData:
        text = f"{data.fingerprint} adapted at {self.origin_s}"
        return replace(
            data,
            split=replace(data.split, test_from_s=self.origin_s),
            spec=replace(data.spec, train_until_s=self.statistics_until_s),
            fingerprint=hashlib.sha256(text.encode()).hexdigest()[:16],
        )

    def __call__(self, run: Run, place: Place) -> FitResult:
        raise UserError(f"{run.folder} holds the weights of a walk; train the run that the walk began with.")

    def restore(self, run: Run, place: Place, record: dict[str, Any]) -> None:
        self(run, place)
