"""Kinds of items at a request, as only the truth of a generated log knows them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seasonrec.data.synthetic_truth import SyntheticTruth

ORACLE = "oracle"
"""Row name of the oracle."""

ORACLE_FILE = "counterfactual_oracle.csv"
"""Name of the oracle's table of wrong dates, beside that of a run."""
TRUTH_FILE = "known_truth.parquet"
"""Name of the table of a run's probabilities by kind of item, in the folder of the run."""

SUMS = ("mass", "true_mass", "bits_lost")
"""Columns of that table: sums over the requests of a user, see :mod:`seasonrec.evaluation.known_truth.divergence`."""

KINDS = (
    "year-round",
    "seasonal",
    "holiday far",
    "holiday near",
    "promotion a year ago",
    "promotion over",
    "promotion",
    "new",
    "favourite",
    "gone",
)
"""Kinds of items; an item of several kinds has the last of them."""

OVER_DAYS = 14
"""Days after the end of a promotion in which its items have the kind ``promotion over``."""

YEAR_AGO_DAYS = 364
"""Whole weeks, so that the weekday is the same."""

NEW_DAYS = 365
"""Days after its birth in which an item is new: it has not seen a whole year."""


def item_kinds(truth: SyntheticTruth, users: NDArray[np.int64], days: NDArray[np.int64]) -> NDArray[np.int8]:
    """Returns the number in :data:`KINDS` of every item for requests, ``(N, V)``.

    Args:
        truth: Parameters that generated the log.
        users: ``(N,)`` users.
        days: ``(N,)`` days of the log.
    """
    favourite = np.zeros((len(days), len(truth.phase)), dtype=bool)
    np.put_along_axis(favourite, truth.favourites[users], True, axis=1)
    over = [truth.is_promoted(days - back) for back in range(1, OVER_DAYS + 1)]
    is_of = {
        "seasonal": (truth.amplitude > 0)[None],
        "holiday far": (truth.holiday >= 0)[None],
        "holiday near": truth.is_near_holiday(days),
        "promotion a year ago": truth.is_promoted(days - YEAR_AGO_DAYS),
        "promotion over": np.any(over, axis=0),
        "promotion": truth.is_promoted(days),
        "new": (truth.first_day > 0) & (days[:, None] - truth.first_day < NEW_DAYS),
        "favourite": favourite,
        "gone": days[:, None] >= truth.last_day,
    }
    kinds = np.zeros(favourite.shape, dtype=np.int8)
    for name, mask in is_of.items():
        kinds[np.broadcast_to(mask, kinds.shape)] = KINDS.index(name)
    return kinds
