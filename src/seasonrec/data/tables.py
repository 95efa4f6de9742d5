"""Tables of a dataset and counts of its cleaning rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import polars as pl

from seasonrec.errors import UserError


@dataclass(frozen=True)
class Rule:
    """Cleaning rule, as described in the report, and the number of rows that it dropped or merged."""

    name: str
    rows: int


@dataclass(frozen=True)
class SourceTables:
    """Tables of a dataset: events, items, users, and the report of its cleaning.

    Args:
        events: ``user_id`` and ``item_id`` (String), ``timestamp_s`` (Int64 seconds since 1970-01-01 UTC), and, if
            known, ``value`` (Float32) and ``behaviour`` (String, without null). In source order, not yet sorted. The
            order of ties within a user and second has no meaning.
        items: One row per item: ``item_id`` (String, unique), ``text`` (String, null if unknown), ``category`` (String,
            null if unknown), and columns of features, see :mod:`seasonrec.data.features`.
        users: One row per user: ``user_id`` and further columns; None without a table.
        rules: Every cleaning rule with the rows it removed, in order of application.
        notes: Choices made while reading that a user should see, for example the recognised time format.
    """

    events: pl.DataFrame
    items: pl.DataFrame
    users: pl.DataFrame | None = None
    rules: tuple[Rule, ...] = ()
    notes: tuple[str, ...] = ()


class Dataset(Protocol):
    """Source of tables.

    Attributes:
        country: ISO 3166 code whose holidays the calendar uses, for example ``"US"``; None for no holidays.
        timezone: IANA name of the zone in which the events' days and weeks are counted.
    """

    country: str | None
    timezone: str

    def identity(self) -> dict[str, object]:
        """Returns everything that decides the content of the tables: hashes of the source's bytes, filters, level.

        The identity is the key of the prepared cache and part of the protocol fingerprint. It is JSON-serialisable.
        It should be much cheaper than ``tables``: hash the bytes of the source, do not parse them.
        """
        ...

    def tables(self) -> SourceTables:
        """Reads, checks and cleans the source."""
        ...


class DataError(UserError):
    """Error in input data; its message names the place, the rule, the value and the remedy."""


@dataclass
class RuleReport:
    """Report of cleaning rules, filled while a dataset applies them."""

    rules: list[Rule] = field(default_factory=list)

    def keep(self, frame: pl.DataFrame, condition: pl.Expr, name: str) -> pl.DataFrame:
        """Returns the rows that satisfy ``condition`` and reports the number of others; null counts as no.

        Example:
            ``events = report.keep(events, pl.col("quantity") > 0, "quantity not above zero")``
        """
        kept = frame.filter(condition.fill_null(False))
        self.count(name, frame.height - kept.height)
        return kept

    def count(self, name: str, rows: int) -> None:
        """Reports that the rule ``name`` removed ``rows`` rows."""
        self.rules.append(Rule(name, rows))
