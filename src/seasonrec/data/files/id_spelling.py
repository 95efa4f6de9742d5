"""Spelling of ids: the rule of reading, and notes on spellings that split one user or item, or join many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

IdRule = Literal["as_is", "strip"]

MISSING = ("nan", "none", "null", "<na>", "n/a", "#n/a", "na", "nat", "nil", "undefined", "(null)", "\\n")
"""Words that programs write for a missing value, in small letters."""

_BLANKS = r"^[\s\x{200B}\x{FEFF}]+|[\s\x{200B}\x{FEFF}]+$"  # \s includes no-break spaces
_POINT_ZERO = r"^([+-]?\d+)\.0+$"
_LOST_DIGITS = r"^[+-]?\d([.,]\d+)?[eE]\+\d+$"


class _Spelling(NamedTuple):
    """Spelling that ``strip`` undoes: the expression that does it, and words for the rows that have it."""

    change: pl.Expr
    said: str


_ID = pl.col("id")
_SPELLINGS = (
    _Spelling(_ID.str.replace_all(_BLANKS, ""), "blanks (or no-break spaces) at an end"),
    _Spelling(_ID.str.replace(_POINT_ZERO, "$1"), "a whole number written with .0"),
    _Spelling(_ID.str.normalize("NFC"), "letters composed of two characters (Unicode NFD)"),
)


def spelled(ids: pl.Series, rule: IdRule) -> pl.Series:
    """Returns ids under a rule.

    ``as_is`` changes nothing. ``strip`` takes away blanks of all kinds at both ends and the ``.0`` of whole numbers,
    and composes letters (Unicode NFC). Ids that are numbers stay numbers.
    """
    if rule == "as_is" or ids.dtype.is_integer():
        return ids
    frame = ids.cast(pl.String).alias("id").to_frame()
    for spelling in _SPELLINGS:
        frame = frame.with_columns(spelling.change)
    return frame["id"].alias(ids.name)


def spelling_notes(key: str, ids: pl.Series, counts: NDArray[np.int64]) -> list[str]:
    """Returns notes on suspicious spellings.

    Args:
        key: Name of the column for the notes.
        ids: ``(C,)`` String, distinct ids as read.
        counts: ``(C,)`` rows of each id.
    """
    table = pl.DataFrame({"id": ids, "rows": counts}).filter(~_ID.str.contains(r"^\d+$"))
    return [*_missing(key, table), *_variants(key, table, ids), *_lost_digits(key, table)]


def _missing(key: str, table: pl.DataFrame) -> Iterator[str]:
    words = table.filter(_ID.str.strip_chars().str.to_lowercase().is_in(MISSING))
    if words.height:
        shown = ", ".join(f"{word!r} in {rows:,} rows" for word, rows in words.head(5).iter_rows())
        yield f"{key}: {shown}: a word for a missing value, read as an id; remove these rows if their id is unknown"


def _variants(key: str, table: pl.DataFrame, ids: pl.Series) -> Iterator[str]:
    for spelling in _SPELLINGS:
        changed = table.with_columns(plain=spelling.change).filter(pl.col("plain") != _ID)
        if changed.height:
            twins = int(changed["plain"].is_in(ids.implode()).sum())
            first, _, plain = changed.row(0)
            yield (
                f"{key}: {int(changed['rows'].sum()):,} rows have {spelling.said}, such as {first!r}; {twins:,} of "
                f"these {changed.height:,} ids differ from another only by that; data.ids=strip reads {plain!r}"
            )


def _lost_digits(key: str, table: pl.DataFrame) -> Iterator[str]:
    lost = table.filter(_ID.str.contains(_LOST_DIGITS))
    if lost.height:
        yield (
            f"{key}: {int(lost['rows'].sum()):,} rows have numbers that lost their digits in a spreadsheet, such as "
            f"{lost['id'][0]!r}, so that several ids may have become one; export the column as text"
        )
