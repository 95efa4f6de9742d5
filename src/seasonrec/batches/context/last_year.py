"""Sales a year ago, for logs that cover at least a year."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.context.base import DayTables
from seasonrec.batches.context.daily_counts import DailyCounts
from seasonrec.batches.context.item_groups import PRIOR_EVENTS, ItemGroups, log_lift
from seasonrec.batches.context.lift import Lift, smoothed_share
from seasonrec.batches.context.rows import RowCache
from seasonrec.batches.requests import Requests
from seasonrec.data.calendar import local_days
from seasonrec.data.log import EventLog
from seasonrec.data.spec import DataSpec

YEAR_DAYS = 364
"""Whole weeks, so that a Saturday is compared with Saturdays."""

KEPT_BYTES = 1 << 28
"""Limit of the memory for the tables of days, in bytes."""


Form = Literal["id", "category", "cluster", "text"]
"""Items whose sales are counted together: the item, its category, a cluster of texts, near texts."""


@dataclass(frozen=True)
class LastYear(DayTables):
    """Sales around the same day a year ago, relative to all time, in ``F`` forms.

    Args:
        row: ``(N,)`` int64, row of each request in the ``Q`` rows.
        lifts: ``(Q, C, F)`` float, logs of the shrunk ratios; 0 if the log does not reach back a year. ``C`` is the
            whole catalogue unless some items were requested.
    """

    lifts: Tensor


@dataclass(frozen=True)
class LastYearContext:
    """Options of :class:`LastYear`.

    Args:
        half_window_days: Number of days on each side of the day a year ago.
        use: Forms of the lifts, in the order of ``lifts``.
        groups: Items with similar texts, for the forms ``cluster`` and ``text``.
    """

    half_window_days: int = 14
    use: tuple[Form, ...] = ("id", "category")
    groups: ItemGroups | None = None
    name: str = "last_year"

    def bind(self, log: EventLog, spec: DataSpec) -> LastYearIndex:
        spec.require_last_year("season=[last_year]")
        return LastYearIndex(log, self)


class LastYearIndex:
    """Index of :class:`LastYear` by day, with a cache of days."""

    def __init__(self, log: EventLog, options: LastYearContext) -> None:
        self.options = options
        self.counts = DailyCounts(log)
        self.lift = Lift(self.counts, PRIOR_EVENTS["id"])
        self._known = RowCache((log.num_items, len(options.use)), np.float32, self.counts.num_days + 1, KEPT_BYTES)

    def __call__(self, requests: Requests, items: NDArray[np.int64] | None = None) -> LastYear:
        days, row = request_and_known_days(self.counts, requests)
        keys = [tuple(pair) for pair in days.tolist()]
        table = self._known(keys, lambda places, columns: self._compute(days[places], columns), items)
        return LastYear(row=torch.from_numpy(row), lifts=torch.from_numpy(table))

    def _compute(self, days: NDArray[np.int64], items: NDArray[np.int64] | None) -> NDArray[np.float32]:
        """Returns ``(Q, C, F)`` log ratios."""
        window = window_a_year_ago(days, self.options.half_window_days)
        columns: dict[Form, NDArray[np.float64]] = {}
        if {"id", "category"} & set(self.options.use):
            item, category = self.lift(days[:, 1], [window], items)
            columns = {"id": item[..., 0], "category": category[..., 0]}
        for form in self.options.use:
            if form not in columns:
                rows = [self._of_texts(form, *row) for row in zip(*window, days[:, 1], strict=True)]
                columns[form] = np.stack(rows) if items is None else np.stack(rows)[:, items]
        return np.stack([columns[form] for form in self.options.use], axis=-1, dtype=np.float32, casting="same_kind")

    def _of_texts(self, form: Form, start: int, stop: int, known: int) -> NDArray[np.float64]:
        """Returns the ``(V,)`` log ratios of items that are counted together because of their texts, for one day."""
        if self.options.groups is None:
            raise ValueError(f"the lift by {form} needs groups of items, got None; give LastYearContext groups.")
        counts, together = self.counts, self.options.groups.together
        before = counts.before(np.array([start, stop, known]))
        share = smoothed_share(before[2:], counts.total_before[[known]], counts.num_items)
        events = counts.total_before[[stop]] - counts.total_before[[start]]
        sold = together(form, (before[1:2] - before[:1]).astype(np.float64))
        return log_lift(sold, events.astype(np.float64), together(form, share)[0], PRIOR_EVENTS[form])[0]


def request_and_known_days(counts: DailyCounts, requests: Requests) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the ``(Q, 2)`` distinct pairs of request day and number of known days, and ``(N,)`` pair of a request."""
    asked = local_days(requests.times_s, counts.timezone) - counts.first_day
    days, row = np.unique(np.stack([asked, counts.known_days(requests)], axis=1), axis=0, return_inverse=True)
    return days, row.reshape(-1)


def window_a_year_ago(days: NDArray[np.int64], half_window_days: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the range of days around the day 364 days before each request, empty before the log begins.

    The season is that of the request, not of the end of its history; a horizon only moves the end of the known events.

    Args:
        days: ``(Q, 2)``, see :func:`request_and_known_days`.
        half_window_days: Number of days on each side.

    Returns:
        Two ``(Q,)`` arrays of days of the log: the first day, and the day after the last.
    """
    asked, known = days.T
    stop = np.clip(asked - YEAR_DAYS + half_window_days + 1, 0, known)
    start = np.clip(asked - YEAR_DAYS - half_window_days, 0, stop)
    return start, stop
