"""Options and index of :class:`~seasonrec.batches.context.shares.Shares`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.candidates import Candidates, candidates_until_s
from seasonrec.batches.context.daily_counts import DailyCounts
from seasonrec.batches.context.decayed_counts import DecayedCounts
from seasonrec.batches.context.item_groups import ItemGroups
from seasonrec.batches.context.last_year import request_and_known_days, window_a_year_ago
from seasonrec.batches.context.own_history import OwnHistory, OwnHistoryIndex
from seasonrec.batches.context.rows import RowCache
from seasonrec.batches.context.shares import COUNTED, Shares
from seasonrec.batches.requests import Requests, gather_ranges
from seasonrec.data.calendar import local_days
from seasonrec.data.log import EventLog
from seasonrec.data.spec import DataSpec

KEPT_BYTES = 1 << 27
"""Limit of the memory for the tables of days, in bytes."""

RECENT_DAYS = 28
"""Look-back of the sales by which items share out those of their cluster a year ago."""

ShareForm = Literal["id", "cluster", "text"]

Days = NDArray[np.int64]
"""``(Q, 2)`` days of the request and numbers of known days."""


@dataclass(frozen=True)
class SharesContext:
    """Options of :class:`Shares`.

    Args:
        windows_days: Look-backs of the sales in whole local days; None for all earlier days.
        half_lives_days: Half-lives of decayed sales of all users, in days.
        half_windows_days: Numbers of days on each side of the day a year ago; such a part is absent where the log has
            no sales then.
        own_half_lives_days: Half-lives of the user's own purchases, in days; None for plain counts.
        candidates: Rule of the candidates; see :mod:`seasonrec.batches.candidates`.
        last_year_by: Forms of last year's sales: ``id`` for the item's own; ``cluster`` for those of its cluster of
            texts, of which an item has a part by its recent sales; ``text`` for those of near texts.
        groups: Items with similar texts, for the forms ``cluster`` and ``text``.
    """

    windows_days: tuple[int | None, ...] = (7, 28)
    half_lives_days: tuple[float, ...] = ()
    half_windows_days: tuple[int, ...] = ()
    own_half_lives_days: tuple[float | None, ...] = (28.0,)
    candidates: Candidates = "known"
    name: str = "shares"
    last_year_by: tuple[ShareForm, ...] = ("id",)
    groups: ItemGroups | None = None

    @property
    def own_names(self) -> list[str]:
        """Names of the ``S`` own parts."""
        return [f"own_{days:g}d" if days else "own" for days in self.own_half_lives_days]

    @property
    def day_names(self) -> list[str]:
        """Names of the ``R`` parts by day."""
        recent = [f"recent_{days}d" if days else "popularity" for days in self.windows_days]
        decayed = [f"decayed_{days:g}d" for days in self.half_lives_days]
        forms = ["last_year" if by == "id" else f"last_year_{by}" for by in self.last_year_by]
        return [*recent, *decayed, *(f"{form}_{days}d" for days in self.half_windows_days for form in forms)]

    @property
    def names(self) -> list[str]:
        """Names of the ``K`` parts."""
        return [*self.own_names, *self.day_names, "uniform", "newborn"]

    def bind(self, log: EventLog, spec: DataSpec) -> SharesIndex:
        return SharesIndex(log, self)


class SharesIndex:
    """Index of :class:`Shares` by day, with a cache of days.

    A mixture reads the context ``shares`` like any other, or calls the index by itself::

        index = SharesContext(windows_days=(7, 28), own_half_lives_days=(28.0,)).bind(log, spec)
        shares = index(requests)
        shares.at(request, item)     # (M, K) probabilities of targets under the parts that options.names lists
        shares.present               # (N, K) bool, whether a part has any probability
        shares.mixed(weights)        # (N, V) mixture with (N, K) weights, differentiable in the weights

    Nothing at or after ``known_until_s`` is read, but for the candidates themselves. Nearly all of its time goes into
    the own parts; :meth:`with_history` takes those of an own history that is known already.

    Args:
        log: The prepared log.
        options: Look-backs and half-lives.
        counts: Daily counts of the log, if they exist already.
    """

    def __init__(self, log: EventLog, options: SharesContext, counts: DailyCounts | None = None) -> None:
        self.options = options
        self.counts = counts or DailyCounts(log)
        self.own = OwnHistoryIndex(log, tuple(days for days in options.own_half_lives_days if days), False)
        self.decayed = [DecayedCounts(self.counts, days) for days in options.half_lives_days]
        first_s = np.asarray(log.item_first_seen_s, dtype=np.int64)
        self.order = np.argsort(first_s, kind="stable")
        self.ordered_s = first_s[self.order]
        self.ordered_days = local_days(self.ordered_s, log.timezone) - self.counts.first_day
        shape = (log.num_items, len(options.day_names) + COUNTED)
        self._known = RowCache(shape, np.float32, self.counts.num_days + 1, KEPT_BYTES)

    def __call__(self, requests: Requests, items: NDArray[np.int64] | None = None) -> Shares:
        shares = self.of_sales(requests)
        return self.with_history(shares, self.own(requests)) if self.options.own_half_lives_days else shares

    def with_history(self, shares: Shares, own: OwnHistory) -> Shares:
        """Returns the shares with the own parts of an own history that has this index's half-lives."""
        decayed = iter(own.decayed.unbind(1))
        columns = [next(decayed) if days else own.count for days in self.options.own_half_lives_days]
        return shares.with_own(own.request, own.item, torch.stack(columns, dim=1))

    def of_sales(self, requests: Requests) -> Shares:
        """Returns the shares without own parts."""
        days, row = request_and_known_days(self.counts, requests)
        keys = [tuple(pair) for pair in days.tolist()]
        table = self._known(keys, lambda places, _: self._compute(days[places]))
        newborn_request, newborn_item, sizes = self._counted(requests, days[row, 1])
        nothing = torch.zeros(0, dtype=torch.int64)
        return Shares(
            row=torch.from_numpy(row),
            by_day=torch.from_numpy(table),
            request=nothing,
            item=nothing,
            own=torch.zeros(0, 0),
            newborn_request=newborn_request,
            newborn_item=newborn_item,
            sizes=sizes,
        )

    def _counted(self, requests: Requests, known: NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the pairs of newborn items, and the ``(N, 2)`` numbers of candidates and newborn items."""
        sold = np.searchsorted(self.ordered_days, known, side="left")  # items sold before the day
        until_s = candidates_until_s(self.options.candidates, requests)
        until = np.maximum(np.searchsorted(self.ordered_s, until_s, side="left"), sold)
        request, place = gather_ranges(sold, sold if self.options.candidates == "all" else until)
        item = self.order[place]
        order = np.lexsort((item, request))
        sizes = torch.from_numpy(np.stack([until, until - sold], axis=1).astype(np.float32))
        return torch.from_numpy(request[order]), torch.from_numpy(item[order]), sizes

    def _compute(self, days: Days) -> NDArray[np.float32]:
        """Returns the ``(Q, V, R + 2)`` parts of days."""
        parts = [_share(counted) for counted in self._counts(days)]
        sold = self.counts.before(days[:, 1]) > 0
        counted = (np.ones_like(sold), ~sold) if self.options.candidates == "all" else (sold, np.zeros_like(sold))
        return np.stack([*parts, *counted], axis=-1, dtype=np.float32, casting="unsafe")

    def _counts(self, days: Days) -> Iterator[NDArray[np.generic]]:
        known = days[:, 1]
        for length in self.options.windows_days:
            yield self.counts.window(known, length)
        for decayed in self.decayed:
            distinct, row = np.unique(known, return_inverse=True)
            yield decayed.before(distinct)[row]
        for half_window_days in self.options.half_windows_days:
            start, stop = window_a_year_ago(days, half_window_days)
            sold = self.counts.before(stop) - self.counts.before(start)
            for form in self.options.last_year_by:
                yield sold if form == "id" else self._of_texts(form, sold.astype(np.float64), known)

    def _of_texts(self, form: ShareForm, sold: NDArray[np.float64], known: NDArray[np.int64]) -> NDArray[np.float64]:
        """Returns ``(Q, V)`` sales of a year ago by cluster or near texts, of the items that were ever sold.

        An item has the part of its cluster that it has in the sum of the shares of recent and of all sales.
        """
        if self.options.groups is None:
            raise ValueError(f"last_year_by={form} needs groups of items, got None; give SharesContext groups.")
        together, ever = self.options.groups.together, self.counts.before(known)
        if form == "text":
            return together(form, sold) * (ever > 0)
        base = _share(ever) + _share(self.counts.window(known, RECENT_DAYS))
        of_cluster = together(form, base)
        return np.divide(together(form, sold) * base, of_cluster, out=np.zeros_like(base), where=of_cluster > 0)


def _share(counted: NDArray[np.generic]) -> NDArray[np.float64]:
    """Returns the ``(Q, V)`` shares of counts; 0 throughout on a day without any."""
    values = counted.astype(np.float64)
    total = values.sum(1, keepdims=True)
    return np.divide(values, total, out=np.zeros_like(values), where=total > 0)
