"""Reading of tables of text, JSON lines, Parquet and Feather; every fault is raised as a DataError."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import polars as pl

from seasonrec.data.files.column_lists import did_you_mean, listed
from seasonrec.data.files.file_faults import likely_cause, refuse_twins, unreadable, without_rows
from seasonrec.data.files.packing import TEXT_SUFFIXES, suffix_of
from seasonrec.data.files.plain import blank_lines_at_end, head_of, plain
from seasonrec.data.files.text_layout import FOUND, Layout, TextForm, layout_of
from seasonrec.data.tables import DataError

_TYPED = (".parquet", ".feather")

SUFFIXES = (*TEXT_SUFFIXES, *_TYPED, ".zip")

BATCH_ROWS = 1 << 20
"""Rows of a large file that are read at once."""

WHOLE_BYTES = 1 << 27
"""Size up to which a file is read at once."""

_READER_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)


def check_file(path: Path, key: str, also: Sequence[str] = ()) -> None:
    """Checks that a path can be a table.

    Args:
        path: The path.
        key: Its configuration key, for the message.
        also: Further endings that a file may have.

    Raises:
        DataError: If it is missing, a folder, of a wrong ending, or empty.
    """
    if path.is_dir():
        raise DataError(f"{key} must name a file, got the folder {path}; give the file itself.")
    if not path.is_file():
        raise DataError(f"{key} must name a file that exists, got {path}; check the path.")
    ending = path.suffix.lower()
    inner = Path(path.stem).suffix.lower()
    if ending not in (*SUFFIXES, *also) and not (ending == ".gz" and inner in TEXT_SUFFIXES):
        known = ", ".join((*also, *SUFFIXES))
        raise DataError(
            f"{key} must end in {known}, or in .csv.gz and the like, got {path}; convert or rename the file."
        )
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes); give a file with a header and rows.")


def column_names(path: Path, form: TextForm = FOUND) -> list[str]:
    """Returns the columns of a table file in file order.

    Raises:
        DataError: If the file cannot be read.
    """
    return _names(path, form)[0]


def require_columns(path: Path, wanted: Iterable[tuple[str, str]], form: TextForm = FOUND) -> None:
    """Checks that columns exist once, given as pairs ``(configuration key, column)``.

    Raises:
        DataError: If columns are missing or occur twice; the message names them all.
    """
    present = column_names(path, form)
    pairs = list(wanted)
    refuse_twins(path, present, [column for _, column in pairs])
    missing = [(key, column) for key, column in pairs if column not in present]
    if missing:
        faults = "; ".join(f"{key}={column}{did_you_mean(column, present)}" for key, column in missing)
        raise DataError(
            f"{path} lacks a column that the mapping names: {faults}. Its columns: {listed(present)}."
            f"{likely_cause(present, form.header)}"
        )


def known_columns(
    present: Sequence[str], names: Mapping[str, Sequence[str]], source: str, remedy: str
) -> dict[str, str]:
    """Returns the column of a published file by key.

    Args:
        present: Columns of the file.
        names: Names that each column may have, by key; the first is the publisher's.
        source: File and what it must be, for the message.
        remedy: End of the message.

    Raises:
        DataError: If columns are missing; the message names them all.
    """
    found = {key: next((name for name in choices if name in present), None) for key, choices in names.items()}
    missing = [names[key][0] for key, name in found.items() if name is None]
    if missing:
        raise DataError(
            f"{source} ({', '.join(choices[0] for choices in names.values())}), lacks {', '.join(missing)} and has "
            f"{listed(present)}; {remedy}."
        )
    return {key: name for key, name in found.items() if name is not None}


def form_notes(path: Path, form: TextForm = FOUND) -> list[str]:
    """Returns notes on how a file is read, where that is not its ending's usual way."""
    return list(_names(path, form)[1])


def read_columns(path: Path, columns: Iterable[str], form: TextForm = FOUND) -> pl.DataFrame:
    """Reads the given columns; those of text files are strings, with empty fields as null.

    Raises:
        DataError: If the file cannot be read, has no rows, or has a column twice.
    """
    wanted = list(dict.fromkeys(columns))
    with _table(path, form) as table:
        frame = _without_blank_end(table.scan(wanted).collect(), table.blank_lines)
    if frame.is_empty():
        raise without_rows(path)
    return frame


def batches(path: Path, columns: Iterable[str], form: TextForm = FOUND) -> Iterator[pl.DataFrame]:
    """Yields the given columns like :func:`read_columns`, in chunks of rows; a small file is one chunk.

    Raises:
        DataError: If the file cannot be read, has no rows, or has a column twice.
    """
    wanted = list(dict.fromkeys(columns))
    rows = 0
    with _table(path, form) as table:
        for batch in table.batches(wanted):
            rows += batch.height
            if batch.height:
                yield batch
    if not rows:
        raise without_rows(path)


def is_typed(path: Path) -> bool:
    """Checks whether the file stores the types of its columns; text files do not."""
    return path.suffix.lower() in _TYPED


class _Table(NamedTuple):
    """An open table.

    Args:
        path: The file, for messages.
        source: The file with its plain text; the file itself if it is not one of text.
        layout: Layout of a table of text with separators.
        blank_lines: Lines after the last row.
    """

    path: Path
    source: Path
    layout: Layout | None
    blank_lines: int

    def scan(self, wanted: Sequence[str]) -> pl.LazyFrame:
        """Returns columns as a query."""
        if self.layout is not None:
            refuse_twins(self.path, self.layout.names, wanted)
            raw = dict(zip(self.layout.names, self.layout.raw_names, strict=True))
            return _scan_text(self.source, self.layout).select(pl.col(raw[name]).alias(name) for name in wanted)
        if not is_typed(self.path):
            return pl.scan_ndjson(self.source, schema=dict.fromkeys(wanted, pl.String))
        return _scan_typed(self.source).select(wanted)

    def batches(self, wanted: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Yields columns in chunks of rows, in one chunk if the file is small."""
        query = self.scan(wanted)
        small = self.source.stat().st_size <= WHOLE_BYTES
        if small and not (is_typed(self.path) and _height(query) > BATCH_ROWS * 4):
            yield _without_blank_end(query.collect(), self.blank_lines)
            return
        if self.blank_lines:
            query = query.head(_height(query) - self.blank_lines)
        yield from query.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True, lazy=True)


@contextmanager
def _table(path: Path, form: TextForm) -> Iterator[_Table]:
    if is_typed(path):
        with _told(path, path):
            yield _Table(path, path, None, 0)
        return
    if suffix_of(path) == ".jsonl":
        with plain(path, head_of(path, form.encoding).encoding, "\n") as source, _told(path, source):
            yield _Table(path, source, None, 0)
        return
    layout = layout_of(path, form)
    with plain(path, layout.encoding, layout.separator) as source, _told(path, source, layout):
        yield _Table(path, source, layout, blank_lines_at_end(source, layout.mark))


@contextmanager
def _told(path: Path, source: Path, layout: Layout | None = None) -> Iterator[None]:
    """Turns an error of the reader into one for the user."""
    try:
        yield
    except _READER_ERRORS as error:
        raise unreadable(path, source, layout, error) from error


def _names(path: Path, form: TextForm) -> tuple[list[str], tuple[str, ...]]:
    """Returns the columns of a file and the notes on its form."""
    if is_typed(path):
        with _told(path, path):
            return _scan_typed(path).collect_schema().names(), ()
    if suffix_of(path) == ".jsonl":
        head = head_of(path, form.encoding)
        return _json_keys(path, head.text, head.whole), head.notes
    layout = layout_of(path, form)
    return list(layout.names), layout.notes


def _json_keys(path: Path, text: str, whole: bool) -> list[str]:
    """Returns the keys of the objects in the first lines."""
    lines = text.split("\n")
    keys: dict[str, None] = {}
    for number, line in enumerate(lines if whole else lines[:-1], start=1):
        if line.strip():
            try:
                keys |= dict.fromkeys({**json.loads(line)})
            except (ValueError, TypeError, RecursionError) as error:
                raise DataError(
                    f"{path} must hold one JSON object a line, got {line!r:.60} in line {number:,}; write it as JSON "
                    "lines, e.g. pandas' to_json(orient='records', lines=True)."
                ) from error
    return list(keys)


def _scan_text(source: Path, layout: Layout) -> pl.LazyFrame:
    return pl.scan_csv(
        source,
        separator=layout.mark,
        quote_char=layout.quote,
        has_header=layout.header,
        skip_lines=layout.skip_lines,
        infer_schema=False,
        glob=False,
    )


def _scan_typed(path: Path) -> pl.LazyFrame:
    if path.suffix.lower() == ".feather":
        return pl.scan_ipc(path, glob=False, hive_partitioning=False)
    return pl.scan_parquet(path, glob=False, hive_partitioning=False)


def _height(query: pl.LazyFrame) -> int:
    return int(query.select(pl.len()).collect().item())


def _without_blank_end(frame: pl.DataFrame, blank_lines: int) -> pl.DataFrame:
    """Returns the rows before the blank lines at the end of the file."""
    end = frame.tail(blank_lines).select(pl.all().cast(pl.String).str.strip_chars().fill_null(""))
    return frame.head(frame.height - blank_lines) if end.select((pl.all() == "").all()).row(0) else frame
