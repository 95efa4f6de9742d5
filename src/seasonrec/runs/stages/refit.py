"""The stage that trains again on the training and validation parts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from seasonrec.runs.opening import OpenData
from seasonrec.runs.run import Run, knowing_until_test
from seasonrec.runs.stages.base import Place, load_stage
from seasonrec.runs.stages.train import fit_run
from seasonrec.training.fit import FitResult


@dataclass(frozen=True)
class Refit:
    """Training of new weights on the training and validation parts, for as many epochs as ``train`` chose.

    Every statistic is fitted up to the test cut. The learning rate follows the schedule of the chosen epochs, so that
    the only change is the data. The test part and the protocol's fingerprint stay as they are.
    """

    after: str = "train"

    def known(self, data: OpenData) -> OpenData:
        return knowing_until_test(data)

    def __call__(self, run: Run, place: Place) -> FitResult:
        chosen = place.before["train"]
        again = self._again(run)
        result = fit_run(again, replace(place, logger=None), epochs=chosen.best_epoch + 1)
        self._hand_over(again, run)
        return replace(result, best_value=chosen.best_value)

    def restore(self, run: Run, place: Place, record: dict[str, Any]) -> None:
        again = self._again(run)
        load_stage(again, place, record["best_epoch"])
        self._hand_over(again, run)

    def _again(self, run: Run) -> Run:
        """Returns the run with training up to the test cut and with fresh weights from the same seed."""
        again = run.over(lambda data: replace(knowing_until_test(data), split=data.split.training_until_test()))
        again.build(for_training=True)
        return again

    def _hand_over(self, again: Run, run: Run) -> None:
        for trained, one in zip(again.all, run.all, strict=True):
            # fitted on weeks that the earlier weights had not seen
            trained.model.mixture.load_state_dict(one.model.mixture.state_dict())
            one.take(trained, self.known(one.data))
