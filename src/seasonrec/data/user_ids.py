"""Reading of user ids: one id per line, or the column ``user_id`` of a CSV or TSV file."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from seasonrec.data.files.reading import read_columns
from seasonrec.data.files.values import read_ids
from seasonrec.data.tables import DataError

COLUMN = "user_id"


def read_user_ids(path: Path) -> list[str]:
    """Returns the distinct ids of a file in its order; blank lines and a first line ``user_id`` are skipped.

    Raises:
        DataError: If the file is missing, not text, without an id, or a table without the column.
    """
    lines = _lines(path)
    header = lines[0] if lines else ""
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    if path.suffix.lower() in (".csv", ".tsv") and separator in header:
        if COLUMN not in header.split(separator):
            raise DataError(f"{path}: users need a column {COLUMN}, got the header {header!r}; rename the column.")
        ids = read_ids(read_columns(path, [COLUMN]), COLUMN, path)
    else:
        ids = pl.Series(lines[header == COLUMN :], dtype=pl.String)
    if ids.is_empty():
        raise DataError(f"users must name a file with at least one user id, got {path} with none; write users=all.")
    return ids.unique(maintain_order=True).to_list()


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} must be text in UTF-8, got other bytes at {error.start:,}; convert it.") from error
    except OSError as error:
        raise DataError(
            f"users must be all or a file with one user id per line, got {path} ({error.strerror}); check the path."
        ) from error
    return [line.strip() for line in text.splitlines() if line.strip()]
