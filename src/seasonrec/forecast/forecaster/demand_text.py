"""The multinomial model of the demand, as a forecaster of items and of what they add up to."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from seasonrec.batches.candidates import Candidates
from seasonrec.batches.context.demand import DaySales, DaySalesIndex
from seasonrec.batches.context.last_year import YEAR_DAYS
from seasonrec.batches.facts import Facts
from seasonrec.batches.splits import Split, spec_of
from seasonrec.errors import UserError
from seasonrec.forecast.base import WINDOWS, Floats, Forecast, History, Source
from seasonrec.forecast.series import second_of
from seasonrec.models.demand.multinomial import MultinomialDemand, Use
from seasonrec.ranges import Weight, WidthOrZero, ranged

FITTED_CELLS = 1 << 23
"""Largest number of periods of a fit times items; of more periods, the latest are taken."""

LEVEL_PERIODS = 8
"""Periods whose total is the level of the next ones."""


@ranged("forecaster.demand_text")
class DemandText:
    """Share of each item in the sales of a period, from recent sales, last year's, age and texts, times a total.

    The shares are those of :class:`~seasonrec.models.demand.multinomial.MultinomialDemand`, fitted to the periods
    before the origin. Each period of the fit lies 1 to ``horizon`` periods after the end of what it knows, in turn.
    The total of a period ahead is the mean of the last eight totals; where the log holds them, it is multiplied by the
    total of the period a year earlier over the mean of the eight before that origin. Quantiles are those of the errors
    at earlier origins, with the weights of this one.

    It forecasts items that were never sold too, if they are candidates: their texts are known, and nothing else.

    Args:
        use: What a lift counts together, as in ``demand=multinomial``: ``id`` the item alone; ``text``, ``cluster`` or
            ``all`` also items with similar texts.
        candidates: ``known``: items sold before the origin; ``all``: the whole catalogue, as if it were announced.
        hidden_dim: Number of tanh units; 0 for a linear score.
        penalty: Precision of the prior of the weights.
        reader: Language model of the texts.
        refits: Whether it is fitted again at each origin; otherwise the first origin's weights serve the later ones.

    Raises:
        ValueError: If an option is unknown.
    """

    is_trained = False
    forecasts_all = True

    def __init__(
        self,
        use: Use = "all",
        candidates: Literal["known", "all"] = "known",
        hidden_dim: WidthOrZero = 24,
        penalty: Weight = 1.0,
        reader: str = "minilm",
        refits: bool = True,
    ) -> None:
        for name, value, kinds in (("use", use, get_args(Use)), ("candidates", candidates, ("known", "all"))):
            if value not in kinds:
                raise UserError(
                    f"forecaster.demand_text.{name} must be one of {', '.join(kinds)}, got {value!r}; choose one."
                )
        self.use, self.candidates = use, candidates
        self.hidden_dim, self.penalty, self.reader, self.refits = hidden_dim, penalty, reader, refits
        self._model: MultinomialDemand | None = None
        self._days: PeriodSales | None = None
        self._fitted = 0

    def fit(self, history: History, seed: int) -> None:
        source = _source(history)
        facts = replace(_facts(source, history), candidates=self.candidates)
        model = MultinomialDemand(
            self.use, hidden_dim=self.hidden_dim, penalty=self.penalty, reader=self.reader, facts=facts
        )
        self._days = PeriodSales(source, model, self.candidates, history)
        observed = self._days.observed(history)
        if not observed:
            raise UserError(
                f"forecaster=demand_text needs periods with sales between day {self._days.least_day} of the log and "
                "the first origin, got none; lower origins or horizon, or take a longer log."
            )
        periods = max(1, FITTED_CELLS // source.log.num_items)
        model.fit([self._days.pair(*one) for one in observed[-periods:]])
        self._model, self._fitted = model, len(observed[-periods:])

    def forecast(self, history: History) -> Forecast:
        assert self._model is not None, "fit comes first"
        mean = self._means(history)
        errors = []
        for known in range(max(history.known - history.horizon - WINDOWS + 1, 1), history.known - history.horizon + 1):
            starts = history.starts[: known + history.horizon]
            earlier = replace(history, values=history.values[:, :known], starts=starts)
            errors.append(history.values[:, known : known + history.horizon] - self._means(earlier))
        shifts = np.zeros((len(mean), len(history.levels)))
        if errors:
            shifts = np.quantile(np.concatenate(errors, axis=1), history.levels, axis=1).T
        notes = {"periods of the fit": self._fitted, "knows last year": int(self._model.has_year)}
        return Forecast(mean, mean[:, :, None] + shifts[:, None, :], notes)

    def _means(self, history: History) -> Floats:
        """Returns the ``(S, H)`` expected sales."""
        assert self._model is not None
        assert self._days is not None
        totals, item_series = _totals(history), _source(history).item_series
        columns = []
        for step in range(history.horizon):
            sales = self._days.sales(history.known + step, history.known)
            share = np.exp(self._model.log_shares(sales).astype(np.float64))
            columns.append(np.bincount(item_series, share, minlength=len(history.values)) * totals[step])
        return np.stack(columns, axis=1)


class PeriodSales:
    """Known sales of items for a period, and the events of a period.

    Args:
        source: The log.
        model: Model whose windows are counted.
        candidates: Rule of the candidates.
        history: The series of the first call; its periods are counted in days of the log.
    """

    def __init__(self, source: Source, model: MultinomialDemand, candidates: Candidates, history: History) -> None:
        self.index = DaySalesIndex(source.log, model.windows_days, model.half_window_days, candidates)
        self.first = int(history.starts[0]) - self.index.counts.first_day
        self.length = int(history.starts[1] - history.starts[0])
        self.least_day = max(model.windows_days)
        if model.has_year:
            self.least_day = max(self.least_day, model.first_day)

    def day(self, period: int) -> int:
        """Returns the day of the log on which a period begins."""
        return self.first + period * self.length

    def sales(self, period: int, known: int) -> DaySales:
        """Returns what is known of the middle day of a period if the periods before ``known`` are."""
        return self.index.of(self.day(period) + self.length // 2, self.day(known))

    def observed(self, history: History) -> list[tuple[int, int]]:
        """Returns the periods of a fit with their known ends, the number of periods between them in turn."""
        found = []
        for period in range(history.known):
            known = period - period % history.horizon
            if known > 0 and self.day(known) >= self.least_day and history.values[:, period].any():
                found.append((period, known))
        return found

    def pair(self, period: int, known: int) -> tuple[DaySales, NDArray[np.int64]]:
        """Returns the known sales of a period, and its ``(V,)`` events."""
        ends = np.array([self.day(period), self.day(period + 1)])
        before = self.index.counts.before(np.clip(ends, 0, self.index.counts.num_days)).astype(np.int64)
        return self.sales(period, known), before[1] - before[0]


def _source(history: History) -> Source:
    if history.source is None or history.source.measure != "events":
        raise UserError("forecaster=demand_text forecasts events of a log; choose series.measure=events.")
    return history.source


def _facts(source: Source, history: History) -> Facts:
    """Returns the facts of the log at an origin, whose first unknown day ends the training part."""
    log, times_s = source.log, np.asarray(source.log.basket_times_s)
    until_s = second_of(log, int(history.starts[history.known]))
    split = Split(int(times_s.min()), until_s, until_s, int(times_s.max()) + 1)
    return Facts.of(log, spec_of(log, split), 1, 1, source.cache_dir)


def _totals(history: History) -> Floats:
    """Returns the ``(H,)`` expected totals of all series."""
    totals = history.values.sum(axis=0)
    known = history.known
    level = totals[-LEVEL_PERIODS:].mean()
    year = YEAR_DAYS // int(history.starts[1] - history.starts[0])
    if known - year - LEVEL_PERIODS < 0 or year < history.horizon:
        return np.full(history.horizon, level)
    before = totals[known - year - LEVEL_PERIODS : known - year].mean()
    ahead = totals[known - year : known - year + history.horizon]
    return np.asarray(level * ahead / before if before > 0 else np.full(history.horizon, level), dtype=np.float64)
