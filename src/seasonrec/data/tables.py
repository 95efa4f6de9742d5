"""The tables that every dataset gives, and the count of what its rules took away."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import polars as pl

from seasonrec.errors import UserError

EVENT_COLUMNS = ("user_id", "item_id", "timestamp_s")
"""Columns that every event table has; ``value`` and ``location_id`` are optional."""


@dataclass(frozen=True)
class Rule:
    """One cleaning rule and the rows it acted on.

    Args:
        name: What the rule says, as a reader of the report would put it.
        rows: Rows that the rule dropped or merged.
    """

    name: str
    rows: int


@dataclass(frozen=True)
class SourceTables:
    """What a dataset gives: events, items, users, and the counted report of its cleaning.

    Args:
        events: ``user_id`` and ``item_id`` (String), ``timestamp_s`` (Int64 seconds since 1970-01-01 UTC), and where
            known ``value`` (Float32) and ``location_id`` (String). In source order; not yet sorted. The tie order
            within a user and second carries no meaning.
        items: One row an item: ``item_id`` (String, unique), ``text`` (String, null where unknown), ``category``
            (String, null where unknown).
        users: One row a user: ``user_id`` and whatever else is known; None where there is no table.
        rules: Every cleaning rule with the rows it took, in the order in which they were applied.
        notes: Choices made while reading that a user should see, for example the time format that was recognised.
    """

    events: pl.DataFrame
    items: pl.DataFrame
    users: pl.DataFrame | None = None
    rules: tuple[Rule, ...] = ()
    notes: tuple[str, ...] = ()


class Dataset(Protocol):
    """Turns a source into tables, and does nothing else.

    Attributes:
        country: ISO 3166 code whose holidays the calendar uses, for example ``"US"``; None for no holidays.
        timezone: IANA name of the zone in which the events' days and weeks are counted.
    """

    country: str | None
    timezone: str

    def identity(self) -> dict[str, object]:
        """Everything that decides the tables' content: bytes of the source (as hashes), filters, level.

        The key of the prepared cache and part of the protocol fingerprint. JSON-serialisable. Must be cheap next to
        ``tables`` (hash the source's bytes, do not parse them).
        """
        ...

    def tables(self) -> SourceTables:
        """Reads, checks and cleans the source."""
        ...


class DataError(UserError):
    """Bad input data: one message that names the place, the rule, the value met and the remedy."""


@dataclass
class RuleReport:
    """Collects cleaning rules while a dataset applies them.

    Example:
        ``events = report.keep(events, pl.col("quantity") > 0, "quantity not above zero")``
    """

    rules: list[Rule] = field(default_factory=list)

    def keep(self, frame: pl.DataFrame, condition: pl.Expr, name: str) -> pl.DataFrame:
        """Keeps the rows that satisfy ``condition`` (null counts as no) and counts the rest under ``name``."""
        kept = frame.filter(condition.fill_null(False))
        self.count(name, frame.height - kept.height)
        return kept

    def count(self, name: str, rows: int) -> None:
        """Notes that the rule ``name`` took ``rows`` rows."""
        self.rules.append(Rule(name, rows))
