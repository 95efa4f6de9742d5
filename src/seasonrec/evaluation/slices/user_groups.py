"""Slices by an attribute of the users' table, for example an age group or a country."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from seasonrec.data.log import EventLog
from seasonrec.holiday_names import snake_case

PREFIX = "user_"
"""Beginning of the names of these slices, ``user_country_france``."""

COLUMN = "user."
"""Beginning of their columns in a results frame, ``user.country``."""

MOST_VALUES = 20
"""Limit of the different values of an attribute; one with more, for example a birthday, makes no slices."""

LEAST_USERS = 20
"""Least number of users with events who share a value; a mean over fewer says little about such users."""


def user_groups(log: EventLog) -> pl.DataFrame:
    """Returns the group of each user by attribute, null where a value makes no slice.

    The table is fixed before the log's first request, and the groups are counted over all users with an event, so that
    no outcome decides about a slice.

    Returns:
        ``(U,)`` rows in user order with a String column ``user.NAME`` for each attribute that makes a slice. A group
        has its value in snake case; values that would share a name, such as ``<25`` and ``>25``, get a number each.
    """
    active = pl.Series(np.diff(log.user_offsets) > 0)
    columns = []
    for name, texts in _attributes(log):
        counts = texts.filter(active).drop_nulls().value_counts(name="users")
        large = counts.filter(pl.col("users") >= LEAST_USERS)[texts.name].sort().to_list()
        if 1 < counts.height <= MOST_VALUES and large:
            groups = texts.replace_strict(_names(large), default=None, return_dtype=pl.String)
            columns.append(groups.alias(COLUMN + name))
    return pl.DataFrame(columns)


def _names(values: list[str]) -> dict[str, str]:
    """Returns a name of its own for each value."""
    names: dict[str, str] = {}
    for value in values:
        name, number = snake_case(value), 1
        while (numbered := f"{name}_{number}" if number > 1 else name) in names.values():
            number += 1
        names[value] = numbered
    return names


def group_notes(log: EventLog) -> list[str]:
    """Returns a line for each attribute: its slices with their users, or why it makes none."""
    groups, lines = user_groups(log), []
    for name, texts in _attributes(log):
        values = texts.drop_nulls().n_unique()
        if COLUMN + name in groups.columns:
            counts = groups[COLUMN + name].drop_nulls().value_counts(sort=True).rows()
            told = ", ".join(f"{slice_name(name, group)} ({users:,} users)" for group, users in counts)
            lines.append(f"user slices of {name}: {told}")
        elif values > MOST_VALUES:
            lines.append(f"no user slices of {name}: {values:,} different values, at most {MOST_VALUES} make slices")
        else:
            lines.append(f"no user slices of {name}: it needs 2 values, one of them with {LEAST_USERS} users")
    return lines


def slice_name(attribute: str, group: str) -> str:
    """Returns the name of a slice: ``country`` and ``france`` make ``user_country_france``."""
    return f"{PREFIX}{snake_case(attribute)}_{group}"


def group_columns(frame: pl.DataFrame) -> list[str]:
    """Returns the columns of attributes in a results frame."""
    return [column for column in frame.columns if column.startswith(COLUMN)]


def named_groups(frame: pl.DataFrame) -> Iterator[tuple[str, pl.Expr]]:
    """Yields the name of each slice and the rows of a results frame that it holds, in alphabetical order."""
    for column in group_columns(frame):
        for group in frame[column].drop_nulls().unique().sort():
            yield slice_name(column.removeprefix(COLUMN), group), pl.col(column) == group


def _attributes(log: EventLog) -> Iterator[tuple[str, pl.Series]]:
    """Yields name and values as text, null where blank, of each column of the users' table beside the id."""
    for name in log.users.columns:
        if name != "user_id" and not log.users[name].dtype.is_nested():
            texts = log.users[name].cast(pl.String).str.strip_chars()
            yield name, texts.set((texts == "").fill_null(False), None)
