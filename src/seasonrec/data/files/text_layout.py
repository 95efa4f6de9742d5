"""Layout of a table of text: its separator, its header and its first lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import polars as pl

from seasonrec.data.files.column_lists import look_like_data
from seasonrec.data.files.packing import SEPARATORS, suffix_of
from seasonrec.data.files.plain import STAND_IN, check_encoding, head_of
from seasonrec.data.tables import DataError
from seasonrec.errors import UserError

CANDIDATES = ("\t", ";", "|", "::", ",")
"""Separators that are found, the likelier first where several occur as often."""

_WORDS = {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " ", "\\t": "\t"}
_RECBOLE = re.compile(r"(.+):(token|token_seq|float|float_seq)")
_QUOTED = re.compile(r'"[^"]*"')


@dataclass(frozen=True)
class TextForm:
    """Form of files of text.

    Args:
        separator: Mark between the columns; None finds it in the first line.
        header: Whether the first line names the columns; otherwise they are numbered from 1.
        encoding: Python's name of the encoding of files without a byte order mark.
    """

    separator: str | None = None
    header: bool = True
    encoding: str = "utf-8"

    def check(self) -> None:
        """Raises a UserError if an option can never work."""
        check_encoding(self.encoding)
        mark = self.separator
        if mark is not None and (not mark or any(bad in mark for bad in ("\n", "\r", '"', STAND_IN))):
            raise UserError(
                f"separator must be the mark between two columns, or one of the words {', '.join([*_WORDS][:-1])}, got "
                f"{mark!r}; leave it out to have it found."
            )


FOUND = TextForm()
"""Form that is found in the file."""


class Layout(NamedTuple):
    """Layout of one file of text.

    Args:
        names: Names of the columns.
        raw_names: Names of the columns as the reader of CSV calls them.
        separator: Mark between the columns.
        header: Whether the first line that is read names the columns.
        skip_lines: Lines before it.
        encoding: Encoding of the file.
        notes: Notes for the user.
    """

    names: tuple[str, ...]
    raw_names: tuple[str, ...]
    separator: str
    header: bool
    skip_lines: int
    encoding: str
    notes: tuple[str, ...]

    @property
    def mark(self) -> str:
        """The separator of the plain text, one byte."""
        return self.separator if len(self.separator.encode()) == 1 else STAND_IN

    @property
    def quote(self) -> str | None:
        """The quote character; separators of several bytes come without quotes."""
        return '"' if self.mark == self.separator else None


def separator_of(written: str | None) -> str | None:
    """Returns a separator from its spelling in a configuration, which may be a word."""
    return None if written is None else _WORDS.get(written, written)


def spelling_of(separator: str) -> str:
    """Returns the spelling of a separator that a command line takes: its word, or the mark in quotes."""
    return next((word for word, mark in _WORDS.items() if mark == separator), f"\"'{separator}'\"")


def layout_of(path: Path, form: TextForm) -> Layout:
    """Returns the layout of a file of text from its first megabyte.

    Blank lines, ``sep=;`` and lines that begin with ``#`` come before the header. A line with ``#`` is the header
    itself if the next one has as many fields and looks like data.

    Raises:
        DataError: If the file is no text or its first line is too long.
    """
    head = head_of(path, form.encoding)
    lines = [line.rstrip("\r") for line in head.text.split("\n")]
    if len(lines) == 1 and not head.whole:
        raise DataError(
            f"{path}: the first line is longer than {len(lines[0]):,} characters; check that it is a table."
        )
    if not head.text.strip():
        raise DataError(f"{path} is empty: it has blank lines alone; give a file with a header and rows.")
    skip, declared = _first_line(lines)
    usual = SEPARATORS.get(suffix_of(path))
    separator = form.separator or declared or _found(lines[skip : None if head.whole else -1], usual, form.header)
    if form.header and skip and _is_header(lines[skip - 1 : skip + 1], separator):
        skip -= 1
    while not form.header and skip and _is_row(lines[skip - 1 : skip + 1], separator):
        skip -= 1
    notes = list(head.notes)
    if separator != usual and any(separator in line for line in lines[skip : skip + 1]):
        why = "as data.separator says" if form.separator else "as its first lines show"
        notes.append(f"{path}: columns are separated by {separator!r}, {why}")
    if skip and any(line.strip() for line in lines[:skip]):
        left = "the first line is" if skip == 1 else f"the first {skip:,} lines are"
        notes.append(f"{path}: {left} left out, {lines[0]!r:.60}")
    names, raw = _columns("\n".join(lines[skip:]), separator, form.header, path)
    return Layout(names, raw, separator, form.header, skip, head.encoding, tuple(notes))


def _first_line(lines: Sequence[str]) -> tuple[int, str | None]:
    """Returns the number of lines before the table, and the separator that one of them declares."""
    declared = None
    for number, line in enumerate(lines):
        text = line.strip().strip('"')
        if text.lower().startswith("sep=") and len(text) == len("sep=") + 1 and declared is None:
            declared = text[-1]
        elif line.strip().lower() == "sep=" and line.endswith("\t"):
            declared = "\t"
        elif text and not text.startswith("#"):
            return number, declared
    return 0, declared


def _found(lines: Sequence[str], usual: str | None, header: bool) -> str:
    """Returns the usual separator if a header has it, else the most frequent one."""
    some = [_QUOTED.sub("", line) for line in lines[:20] if line.strip()]
    if not some:
        return usual or ","
    counts = Counter({mark: some[0].count(mark) for mark in CANDIDATES})
    counts[" "] = some[0].count(" ") if usual is None and not counts.total() else 0
    if not header:  # without names, the marks within values must not count
        counts = Counter({mark: n for mark, n in counts.items() if all(line.count(mark) == n for line in some)})
    if usual and (counts[usual] if header else counts[usual] >= max(counts.values(), default=0) > 0):
        return usual
    mark, number = max(counts.items(), key=lambda pair: pair[1], default=("", 0))
    return mark if number else usual or ","


def _is_header(lines: Sequence[str], separator: str) -> bool:
    first, second = (line.split(separator) for line in lines)
    return len(first) == len(second) > 1 and lines[0].startswith("#") and look_like_data(second)


def _is_row(lines: Sequence[str], separator: str) -> bool:
    """Returns whether a line with ``#`` is a row like the next one, whose first value begins so."""
    first, second = (line.split(separator) for line in lines)
    return len(first) == len(second) > 1 and look_like_data(first)


def _columns(text: str, separator: str, header: bool, path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the names of the columns, and those that the reader gives them."""
    layout = Layout((), (), separator, header, 0, "", ())
    raw = text.replace(separator, layout.mark).encode()
    read = partial(
        pl.read_csv,
        raw,
        separator=layout.mark,
        quote_char=layout.quote,
        infer_schema=False,
        n_rows=1,
        truncate_ragged_lines=True,
    )
    try:
        first = read(has_header=False)
        named = read().columns if header else first.columns
    except pl.exceptions.NoDataError:
        raise DataError(f"{path} is empty: it has no line; give a file with a header and rows.") from None
    if not header:
        return tuple(str(number + 1) for number in range(first.width)), tuple(named)
    names = [(name or "").strip() for name in first.row(0)]
    matches = [_RECBOLE.fullmatch(name) for name in names]
    if all(matches) or suffix_of(path) in (".inter", ".item", ".user"):
        names = [match[1] if match else name for match, name in zip(matches, names, strict=True)]
    return tuple(names), tuple(named)
