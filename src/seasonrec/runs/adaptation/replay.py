"""The adaptation that trains examples of every season along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from seasonrec.data.calendar import local_days
from seasonrec.data.spec import DAYS_PER_YEAR
from seasonrec.ranges import AtLeast, Count, ranged
from seasonrec.runs.adaptation.base import BYTES_PER_NUMBER, FineTuning, Update, UpdatePlace, fine_tuned
from seasonrec.runs.adaptation.past import evenly, past_baskets, queries
from seasonrec.runs.run import Run
from seasonrec.training.continual.herding import herd

CANDIDATES_PER_EXAMPLE = 10
"""Evenly spaced baskets of a season from which each example is chosen."""


@ranged("adaptation")
@dataclass(frozen=True)
class Replay(FineTuning):
    """Fine-tuning of all weights on the newest period and on examples of each season, chosen by herding.

    In July, the examples of December are trained along with those of every other season. The features of a basket are
    the query of its request under the live weights.

    Args:
        seasons: Seasons of the year, of equal length from 1 January; 12 are about the months.
        per_season: Examples of a season.

    Raises:
        UserError: If a number is out of its range.

    References:
        Rebuffi et al., iCaRL, CVPR 2017.
    """

    seasons: Annotated[int, AtLeast(1, 366)] = 12
    per_season: Count = 100

    def __call__(self, run: Run, place: UpdatePlace) -> Update:
        past = past_baskets(run, place.past)
        days = local_days(np.asarray(run.data.log.basket_times_s)[past], run.data.log.timezone)
        season = season_of(days, self.seasons)
        examples = np.concatenate([self._examples(run, past[season == one]) for one in range(self.seasons)])
        return fine_tuned(run, place, self, replayed=np.sort(examples), kept_bytes=BYTES_PER_NUMBER * len(examples))

    def _examples(self, run: Run, baskets: NDArray[np.int64]) -> NDArray[np.int64]:
        if len(baskets) <= self.per_season:
            return baskets
        some = evenly(baskets, CANDIDATES_PER_EXAMPLE * self.per_season)
        return some[herd(queries(run, some), self.per_season).numpy()]


def season_of(days: NDArray[np.int64], seasons: int) -> NDArray[np.int64]:
    """Returns the number of the season of each local day since 1970-01-01, ``(N,)`` in ``0..seasons - 1``."""
    return (days % DAYS_PER_YEAR / DAYS_PER_YEAR * seasons).astype(np.int64)
