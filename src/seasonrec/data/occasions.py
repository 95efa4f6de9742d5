"""Occasions: dated events of a user's own calendar, for example Singles' Day, a promotion or school holidays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seasonrec.data.calendar import holiday_days

ALWAYS_KNOWN = -(10**6)
"""Day from which an occasion without ``known_from`` is known."""

UNKNOWN_DAYS = 10**6
"""Distance from an occasion of which no day is known."""


@dataclass(frozen=True)
class Occasion:
    """One occurrence of an occasion; all days are local days since 1970-01-01.

    Args:
        name: Name; several occurrences may share it.
        first_day: First day.
        last_day: Last day, at or after the first.
        known_from_day: Day from whose beginning the occurrence is known; no request before it sees the occurrence.
        items: Ids of the items that it concerns; with ``categories`` empty too, it concerns no item in particular.
        categories: Names of the categories that it concerns.
    """

    name: str
    first_day: int
    last_day: int
    known_from_day: int = ALWAYS_KNOWN
    items: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def lists_items(self) -> bool:
        """True if the occurrence concerns some items in particular."""
        return bool(self.items or self.categories)


def occasion_names(occasions: Sequence[Occasion]) -> tuple[str, ...]:
    """Returns the distinct names in alphabetical order."""
    return tuple(sorted({occasion.name for occasion in occasions}))


def as_rows(occasions: Sequence[Occasion]) -> list[dict[str, Any]]:
    """Returns the occasions as plain values for a file of JSON; :func:`from_rows` reads them."""
    return [asdict(occasion) for occasion in occasions]


def from_rows(rows: Sequence[Mapping[str, Any]]) -> tuple[Occasion, ...]:
    """Returns the occasions that :func:`as_rows` wrote."""
    lists = ("items", "categories")
    return tuple(Occasion(**{**row, **{key: tuple(row[key]) for key in lists}}) for row in rows)


@dataclass(frozen=True)
class Occurrences:
    """Occurrences of one name as arrays, in the order of their first days.

    Args:
        first: ``(K,)`` int64 first days.
        last: ``(K,)`` int64 last days.
        known_from: ``(K,)`` int64 days from whose beginning they are known.
    """

    first: NDArray[np.int64]
    last: NDArray[np.int64]
    known_from: NDArray[np.int64]

    @staticmethod
    def of(occasions: Sequence[Occasion], name: str) -> Occurrences:
        """Returns the occurrences of a name; none if the name does not occur."""
        rows = sorted((one.first_day, one.last_day, one.known_from_day) for one in occasions if one.name == name)
        first, last, known_from = np.array(rows, dtype=np.int64).reshape(-1, 3).T
        return Occurrences(first, last, known_from)

    def distances(self, days: NDArray[np.int64], known_days: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns the days since the nearest occurrence that is known: negative before it, 0 on each of its days.

        Args:
            days: ``(N,)`` day of each request.
            known_days: ``(N,)`` last day whose news each request knows.

        Returns:
            ``(N,)`` int64; :data:`UNKNOWN_DAYS` where no occurrence is known. Of two equally near ones, the earlier.
        """
        _, nearest = self._nearest(days, known_days)
        return nearest

    def seen_before(self, days: NDArray[np.int64], known_days: NDArray[np.int64], since_day: int) -> NDArray[np.bool_]:
        """Returns ``(N,)`` bool: whether an earlier occurrence than the nearest one began on or after ``since_day``.

        Args:
            days: ``(N,)`` day of each request.
            known_days: ``(N,)`` last day whose news each request knows.
            since_day: First day of the log.
        """
        if not len(self.first):
            return np.zeros(len(days), dtype=np.bool_)
        chosen, _ = self._nearest(days, known_days)
        earlier = self.last[None, :] < self.first[chosen][:, None]  # (N, K)
        known = self.known_from[None, :] <= known_days[:, None]
        return np.any(earlier & known & (self.first >= since_day), axis=1)

    def _nearest(
        self, days: NDArray[np.int64], known_days: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns number and distance of the nearest known occurrence, each ``(N,)``."""
        if not len(self.first):
            return np.zeros(len(days), np.int64), np.full(len(days), UNKNOWN_DAYS)
        before = np.minimum(days[:, None] - self.first, 0)  # (N, K)
        after = np.maximum(days[:, None] - self.last, 0)
        distance = before + after
        distance = np.where(self.known_from <= known_days[:, None], distance, UNKNOWN_DAYS)
        chosen = np.abs(distance).argmin(axis=1)
        return chosen, np.take_along_axis(distance, chosen[:, None], axis=1)[:, 0]


def known_inputs(
    occasions: Sequence[Occasion], country: str | None, first_day: int, last_day: int, known_day: int
) -> pl.DataFrame:
    """Returns which holidays and occasions fall on each day, as known on one day: inputs of a forecast.

    Args:
        occasions: The user's own calendar, ``log.occasions``.
        country: ISO 3166 code of the public holidays, ``log.country``; None for none.
        first_day: First local day since 1970-01-01.
        last_day: Last day, included.
        known_day: Last day whose news is known; an occasion with a later ``known_from`` is 0 on all days.

    Returns:
        One row per day: ``date``, then a Float64 column of 0 and 1 for each public holiday of these years and each name
        of the own calendar, in alphabetical order.
    """
    days = np.arange(first_day, last_day + 1)
    years = [int(str(np.datetime64(day, "D"))[:4]) for day in (first_day, last_day)]
    columns = {name: np.isin(days, found) for name, found in holiday_days(country, years[0], years[1]).items()}
    known = np.full(len(days), known_day)
    for name in occasion_names(occasions):
        columns[name] = Occurrences.of(occasions, name).distances(days, known) == 0
    dates = pl.Series("date", days.astype(np.int32)).cast(pl.Date)
    return pl.DataFrame([dates, *(pl.Series(name, columns[name].astype(np.float64)) for name in sorted(columns))])
