"""Names of columns, as messages show them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

MOST = 10
"""Names that a message lists."""

LONGEST = 40
"""Characters of a name that a message shows."""

_NUMBER_OR_TIME = re.compile(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?")


def listed(names: Sequence[str]) -> str:
    """Returns the first names on one line, without control characters, and the number of the others."""
    shown = ", ".join(shown_name(name) for name in names[:MOST])
    return f"{shown} and {len(names) - MOST:,} more" if len(names) > MOST else shown


def shown_name(name: str) -> str:
    """Returns a name cut to a bearable length, with escapes for what a terminal would not print."""
    cut = name if len(name) <= LONGEST else name[:LONGEST] + "..."
    return "".join(mark if mark.isprintable() else mark.encode("unicode_escape").decode("ascii") for mark in cut)


def did_you_mean(name: str, present: Sequence[str]) -> str:
    """Returns the nearest name in brackets after a blank, or nothing."""
    near = difflib.get_close_matches(name.lower(), [column.lower() for column in present], n=1)
    nearest = next((column for column in present if near and column.lower() == near[0]), None)
    return f" (did you mean {shown_name(nearest)}?)" if nearest else ""


def look_like_data(names: Sequence[str]) -> bool:
    """Returns whether a name is a number or a time, so that the row is no header."""
    return any(_NUMBER_OR_TIME.fullmatch(name.strip()) for name in names)
