"""Wrong dates: the contexts of the season as they would be at requests of an earlier date.

A request has a date, which the calendar, the words and last year's sales read, and an end of the known events, which
the trend reads. Each is moved by itself, so that a model can be told a wrong time of year and the right trend, or the
reverse. Only contexts are changed; no component knows of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from seasonrec.batches.context.base import BoundContext, ContextValue
from seasonrec.batches.loader import BatchBuilder
from seasonrec.batches.requests import Requests
from seasonrec.data.calendar import days_earlier
from seasonrec.errors import UserError

Kind = Literal["season", "trend", "both"]
KINDS: tuple[Kind, ...] = get_args(Kind)

WRONG_DAYS = (28, 91, 182)
"""A month, a quarter and half a year."""

DAYS_RULE = "must be whole weeks from 7 to 364 days"
DAYS_REMEDY = f"whole weeks keep the weekday right, for example {list(WRONG_DAYS)}"


@dataclass(frozen=True)
class WrongDate:
    """A date ``days`` days too early, for a part of what a season reads.

    ``season`` moves the date: calendar, words, and the year before which last year's sales are taken. ``trend`` moves
    the end of the known sales, so that momentum is that of the earlier day. ``both`` moves both: the season is that of
    the earlier day in full.
    """

    kind: Kind
    days: int


class MovedContext:
    """A context that sees earlier requests.

    Only whole weeks are moved, so that the weekday stays right and only the time of year is wrong. Features that wait
    until the log covers a time of year (the yearly harmonics, the holidays' own ramps) are those of the earlier day.

    An earlier end of the known sales reads earlier sales only, so nothing can leak. Where it lies before the first day
    of the log, there are no sales: the trend is 0 for every item. A date before the log has its calendar and words;
    last year's sales are 0 where the log does not reach.

    Args:
        context: Context of the log.
        wrong: The wrong date.
        timezone: Zone of the log, whose days are counted.
    """

    def __init__(self, context: BoundContext, wrong: WrongDate, timezone: str) -> None:
        self.context = context
        self.wrong = wrong
        self.timezone = timezone

    def __call__(self, requests: Requests, items: NDArray[np.int64] | None = None) -> ContextValue:
        return self.context(self._moved(requests), items)

    def _moved(self, requests: Requests) -> Requests:
        kind, days = self.wrong.kind, self.wrong.days
        if kind in ("season", "both"):
            requests = replace(requests, times_s=days_earlier(requests.times_s, days, self.timezone))
        if kind in ("trend", "both"):
            requests = replace(requests, known_until_s=days_earlier(requests.known_until_s, days, self.timezone))
        return requests


def on_wrong_date(builder: BatchBuilder, names: Iterable[str], wrong: WrongDate) -> BatchBuilder:
    """Returns a builder whose contexts of these names are those of a wrong date.

    Everything else stays right: the history, the candidates, the targets, and contexts of other names, for example what
    the habit counts. A component that shares a context with the season reads the wrong date too. A temporal module that
    reads the time of the request from the batch (``transformer_time``) keeps the right one.
    """
    moved = {name: MovedContext(builder.contexts[name], wrong, builder.log.timezone) for name in names}
    return builder.over({**builder.contexts, **moved})


def refused_days(days: Sequence[int]) -> list[int]:
    """Returns the numbers that break :data:`DAYS_RULE`."""
    return [number for number in days if number % 7 or not 7 <= number <= 364]


def check_days(days: Sequence[int]) -> None:
    """Checks that wrong dates are distinct numbers of whole weeks, at least one.

    Raises:
        UserError: If they are not.
    """
    if not days or len(set(days)) < len(days):
        raise UserError(f"days must be distinct wrong dates, at least one, got {list(days)}; {DAYS_REMEDY}.")
    if refused := refused_days(days):
        raise UserError(f"days {DAYS_RULE}, got {refused}; {DAYS_REMEDY}.")
