"""Histories of a few series, for the tests of forecasters."""

from __future__ import annotations

import numpy as np

from seasonrec.forecast.base import History
from seasonrec.forecast.inputs import KnownInputs

MONDAY = 17_168  # 2017-01-02


def history_of(
    values: list[list[float]] | np.ndarray,
    first: list[int] | None = None,
    horizon: int = 2,
    cycle: int = 4,
    levels: tuple[float, ...] = (0.1, 0.5, 0.9),
    inputs: np.ndarray | None = None,
) -> History:
    """Returns a weekly history; without ``first`` every series begins in the first period."""
    known = np.asarray(values, dtype=np.float64)
    periods = known.shape[1] + horizon
    matrix = np.zeros((periods, 0)) if inputs is None else inputs
    return History(
        values=known,
        first=np.zeros(len(known), dtype=np.int64) if first is None else np.array(first, dtype=np.int64),
        horizon=horizon,
        levels=levels,
        cycle=cycle,
        inputs=KnownInputs(tuple(f"x{k}" for k in range(matrix.shape[1])), matrix, {}),
        starts=MONDAY + 7 * np.arange(periods, dtype=np.int64),
    )
