"""Interface of a forecaster: what it may read at an origin, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from seasonrec.data.log import EventLog
from seasonrec.forecast.inputs import KnownInputs

Floats = NDArray[np.float64]

WINDOWS = 8
"""Earlier origins whose errors give the quantiles of a forecaster that has no distribution of its own."""


@dataclass(frozen=True)
class Source:
    """The log behind the series, for forecasters that read items.

    Args:
        log: The prepared log.
        item_series: ``(V,)`` int64, the series of each item.
        cache_dir: Folder of the cached text vectors.
        measure: What the series sum: ``events`` or ``value``.
    """

    log: EventLog
    item_series: NDArray[np.int64]
    cache_dir: Path
    measure: str


@dataclass(frozen=True)
class History:
    """Series up to an origin; ``S`` series, ``O`` known periods, ``H`` periods ahead, ``Q`` quantiles.

    Args:
        values: ``(S, O)`` float64 without gaps; 0 before the first sale.
        first: ``(S,)`` int64, the period of the first sale.
        horizon: Number ``H`` of periods ahead.
        levels: ``Q`` rising probabilities of the quantiles.
        cycle: Periods of the cycle that may be estimated.
        inputs: Inputs that are known for all of the ``O + H`` periods.
        starts: ``(O + H,)`` int64, local day on which each period begins.
        source: The log; None where there are series alone.
        jobs: Processes of forecasters that treat one series after the other.
        progress: Receives lines.
    """

    values: Floats
    first: NDArray[np.int64]
    horizon: int
    levels: tuple[float, ...]
    cycle: int
    inputs: KnownInputs
    starts: NDArray[np.int64]
    source: Source | None = None
    jobs: int = 1
    progress: Callable[[str], None] = field(default=lambda line: None)

    @property
    def known(self) -> int:
        """Number ``O`` of known periods."""
        return self.values.shape[1]

    def of(self, series: NDArray[np.int64]) -> History:
        """Returns the history of some series."""
        return replace(self, values=self.values[series], first=self.first[series])


@dataclass(frozen=True)
class Forecast:
    """Forecasts of ``S`` series for ``H`` periods.

    Args:
        mean: ``(S, H)`` point forecasts.
        quantiles: ``(S, H, Q)``, rising in ``Q``.
        notes: Counts by what was done, for the record, for example series without an estimated season.
    """

    mean: Floats
    quantiles: Floats
    notes: Mapping[str, int] = field(default_factory=dict)

    def positive(self) -> Forecast:
        """Returns the forecast without values below 0, and with quantiles in order."""
        return Forecast(np.maximum(self.mean, 0), np.sort(np.maximum(self.quantiles, 0), axis=2), self.notes)


class Forecaster(Protocol):
    """A way to forecast series.

    Attributes:
        is_trained: True if another seed gives another forecast.
        forecasts_all: True if it forecasts every series, also those with few sales or none.
        refits: False if the fit of the first origin serves the later ones.
    """

    is_trained: bool
    forecasts_all: bool
    refits: bool

    def fit(self, history: History, seed: int) -> None:
        """Learns from the series up to an origin."""
        ...

    def forecast(self, history: History) -> Forecast:
        """Returns the forecast of all series of a history, in order."""
        ...


class UntrainedForecaster:
    """Base of forecasters that are fitted to each series at the moment of the forecast."""

    is_trained = False
    forecasts_all = False
    refits = False

    def fit(self, history: History, seed: int) -> None:
        """Does nothing."""


PointForecast = Callable[[History], Floats]
"""Function that gives point forecasts ``(S, H)``."""


def with_errors(history: History, point: PointForecast) -> Forecast:
    """Returns point forecasts with the quantiles of their errors at earlier origins.

    The same rule is applied at the last :data:`WINDOWS` origins whose horizons lie in the history; a series' errors of
    all of them and of all periods ahead are taken together. A series without any has its point forecast as quantiles.
    """
    mean, horizon = point(history), history.horizon
    errors = [np.full((len(history.values), horizon), np.nan)]
    for known in range(max(history.known - horizon - WINDOWS + 1, 1), history.known - horizon + 1):
        earlier = replace(history, values=history.values[:, :known], starts=history.starts[: known + horizon])
        error = history.values[:, known : known + horizon] - point(earlier)
        errors.append(np.where((history.first < known)[:, None], error, np.nan))
    together = np.concatenate(errors, axis=1)
    has = ~np.isnan(together).all(axis=1)
    shifts = np.zeros((len(mean), len(history.levels)))
    if has.any():
        shifts[has] = np.nanquantile(together[has], history.levels, axis=1).T
    return Forecast(mean, mean[:, :, None] + shifts[:, None, :])
