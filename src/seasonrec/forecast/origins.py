"""Origins of an evaluation, each with what is known there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from seasonrec.errors import UserError
from seasonrec.forecast.base import Floats, Forecast, Forecaster, History, Source
from seasonrec.forecast.cleaning import Cleaned, cleaned
from seasonrec.forecast.forecaster.croston import Croston
from seasonrec.forecast.groups import group_of
from seasonrec.forecast.inputs import KnownInputs
from seasonrec.forecast.metrics import mase_scales
from seasonrec.forecast.series import Panel, SeriesOptions
from seasonrec.ranges import AtLeast, Entries, Fraction, Length, ranged

LARGEST_HORIZON = 12


@ranged("")
@dataclass(frozen=True)
class Rolling:
    """Origins of an evaluation.

    Args:
        horizon: Periods ahead, 1 to 12.
        origins: Number of origins; the last one lies ``horizon`` periods before the end.
        step: Periods between two origins.
        levels: Rising probabilities of the quantiles.

    Raises:
        ValueError: If a value is out of range.
    """

    horizon: Annotated[int, AtLeast(1, LARGEST_HORIZON)]
    origins: Length
    step: Length
    levels: Annotated[tuple[Fraction, ...], Entries(2, rising=True)]

    def known(self, num_periods: int) -> list[int]:
        """Returns the number of known periods at each origin.

        Raises:
            UserError: If the log is too short.
        """
        last = num_periods - self.horizon
        found = [last - self.step * place for place in range(self.origins)][::-1]
        if found[0] < 2:
            raise UserError(
                f"origins={self.origins}, step={self.step} and horizon={self.horizon} need "
                f"{self.horizon + self.step * (self.origins - 1) + 2} whole periods, got {num_periods}; lower one."
            )
        return found


@dataclass(frozen=True)
class Origin:
    """All that an origin has in common for every forecaster.

    Args:
        history: All ``S`` series.
        chosen: Series that are forecast.
        others: Series that the fallback forecasts.
        fallback: Its forecast of them.
        groups: ``(S,)`` place in :data:`~seasonrec.forecast.groups.GROUPS`.
        scales: ``(S,)`` scales of MASE.
        actual: ``(S, H)`` sales; NaN where they are not known.
        counts: Counts for the record.
    """

    history: History
    chosen: NDArray[np.int64]
    others: NDArray[np.int64]
    fallback: Forecast
    groups: NDArray[np.int64]
    scales: Floats
    actual: Floats
    counts: dict[str, int]

    def forecast(self, forecaster: Forecaster, history: History) -> Forecast:
        """Returns the forecast of all ``S`` series, with that of the fallback where the forecaster has none."""
        if forecaster.forecasts_all:
            return forecaster.forecast(history).positive()
        own = forecaster.forecast(history.of(self.chosen)).positive()
        shape = (len(history.values), history.horizon)
        mean, quantiles = np.zeros(shape), np.zeros((*shape, len(history.levels)))
        for series, part in ((self.chosen, own), (self.others, self.fallback)):
            mean[series], quantiles[series] = part.mean, part.quantiles
        return Forecast(mean, quantiles, own.notes)


@dataclass
class Origins:
    """Maker of origins.

    Args:
        panel: The series.
        options: Options of the series.
        rolling: The origins.
        inputs: Inputs known ahead.
        source: The log.
        jobs: Processes.
    """

    panel: Panel
    options: SeriesOptions
    rolling: Rolling
    inputs: KnownInputs
    source: Source | None = None
    jobs: int = 1
    _most: NDArray[np.bool_] | None = field(default=None, init=False, repr=False)

    def at(self, known: int) -> Origin:
        """Returns the origin after a number of periods; it may be the end of the log."""
        panel, horizon = self.panel, self.rolling.horizon
        first = panel.first
        if not (~panel.is_closed[:known]).any() or not (first < known).any():
            raise UserError(
                f"an origin must have events before it, got none in {known} periods; lower origins or step."
            )
        told = self._clean(known)
        starts = np.array([panel.start_of(period) for period in range(known + horizon)], dtype=np.int64)
        history = History(
            values=told.values,
            first=np.minimum(first, known),
            horizon=horizon,
            levels=self.rolling.levels,
            cycle=self.options.cycle,
            inputs=self.inputs,
            starts=starts,
            source=self.source,
            jobs=self.jobs,
        )
        is_chosen = self._chosen(panel.values[:, :known])
        chosen, others = np.flatnonzero(is_chosen), np.flatnonzero(~is_chosen)
        if not len(chosen):
            raise UserError(
                f"series.least_nonzero={self.options.least_nonzero} leaves no series at an origin of {known} periods; "
                "lower it, or choose series.level=category or cluster."
            )
        counts = {
            "known periods": known,
            "closed periods": int(panel.is_closed[:known].sum()),
            "filled values": told.filled,
            "outliers replaced": told.flagged,
            "series too short for the rule of missing or outliers": told.short,
            "series": len(chosen),
            "series given to the fallback": int((first[others] < known).sum()),
            "series without a sale yet": int((first >= known).sum()),
        }
        return Origin(
            history=history,
            chosen=chosen,
            others=others,
            fallback=self._fallback(history.of(others)),
            groups=group_of(panel.values[:, :known], first, panel.period_days),
            scales=mase_scales(told.values, history.first, self.options.cycle),
            actual=self._actual(known),
            counts=counts,
        )

    def _clean(self, known: int) -> Cleaned:
        panel, options = self.panel, self.options
        rules = (options.missing, options.outliers)
        return cleaned(panel.values[:, :known], panel.first, panel.is_closed[:known], rules, options.cycle)

    def _chosen(self, values: Floats) -> NDArray[np.bool_]:
        enough = (values > 0).sum(axis=1) >= self.options.least_nonzero
        if self.options.most is None:
            return enough
        if self._most is None:  # of the first origin
            order = np.argsort(-values.sum(axis=1), kind="stable")
            self._most = np.zeros(len(values), dtype=bool)
            self._most[order[: self.options.most]] = True
        return enough & self._most

    def _fallback(self, history: History) -> Forecast:
        if self.options.fallback == "croston":
            return Croston().forecast(history).positive()
        mean = np.repeat(history.values[:, -1:], history.horizon, axis=1)
        return Forecast(mean, np.repeat(mean[:, :, None], len(history.levels), axis=2))

    def _actual(self, known: int) -> Floats:
        panel, horizon = self.panel, self.rolling.horizon
        actual = np.full((len(panel.values), horizon), np.nan)
        stop = min(known + horizon, panel.num_periods)
        is_open = ~panel.is_closed[known:stop]
        actual[:, : stop - known][:, is_open] = panel.values[:, known:stop][:, is_open]
        return actual
