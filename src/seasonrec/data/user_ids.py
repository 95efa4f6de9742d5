"""Reading of user ids: one id per line, or the column ``user_id`` of a table."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from seasonrec.data.files.column_lists import listed
from seasonrec.data.files.id_spelling import IdRule, spelled
from seasonrec.data.files.packing import SEPARATORS
from seasonrec.data.files.plain import head_of, not_encoded, plain
from seasonrec.data.files.reading import SUFFIXES, column_names, read_columns
from seasonrec.data.files.text_layout import FOUND, TextForm, layout_of
from seasonrec.data.files.values import read_ids, refuse_nul
from seasonrec.data.tables import DataError

COLUMN = "user_id"


def check_user_file(path: Path) -> None:
    """Checks that a file of users exists.

    Raises:
        DataError: If it does not.
    """
    if path.is_file():
        return
    name = str(path)
    alone = f", or write users=[{name}] for the id itself" if name.replace("-", "").replace("_", "").isalnum() else ""
    found = "a folder" if path.is_dir() else "no such file"
    raise DataError(
        f"users must be all, a file with one user id per line, or a list of ids, got {name} ({found}); check "
        f"the path{alone}."
    )


def read_user_ids(path: Path, form: TextForm = FOUND, rule: IdRule = "as_is") -> list[str]:
    """Returns the distinct ids of a file in its order, read as the ids of events are.

    Blank lines and a first line ``user_id`` are skipped.

    Args:
        path: The file.
        form: Form of the events' file.
        rule: Rule of reading ids.

    Raises:
        DataError: If the file is missing, without an id, or a table without the column.
    """
    check_user_file(path)
    ids = _lines(path, form)
    if ids is None:
        present = column_names(path, form)
        if COLUMN not in present:
            raise DataError(
                f"{path}: users need a column {COLUMN}, got the header {listed(present)!r}; rename the column."
            )
        ids = read_ids(read_columns(path, [COLUMN], form), COLUMN, path)
    ids = spelled(ids, rule)
    if ids.is_empty():
        raise DataError(f"users must name a file with at least one user id, got {path} with none; write users=all.")
    refuse_nul(ids, str(path))
    return ids.unique(maintain_order=True).to_list()


def _lines(path: Path, form: TextForm) -> pl.Series | None:
    """Returns the lines of a file that is a list; None for a table."""
    suffix = path.suffix.lower()
    if suffix in (".gz", ".zip") or (suffix in SUFFIXES and suffix not in SEPARATORS):
        return None
    if not head_of(path, form.encoding).text.strip():
        return pl.Series(dtype=pl.String)
    layout = layout_of(path, form)
    if len(layout.names) > 1 and (COLUMN in layout.names or layout.separator == SEPARATORS.get(suffix)):
        return None
    with plain(path, layout.encoding, "\n") as source:
        raw = source.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise not_encoded(path, "utf-8", raw[: error.start].count(b"\n") + 1) from error
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    lines = [line for line in lines if line.strip()]
    has_header = bool(lines) and lines[0].strip().strip('"') == COLUMN
    return pl.Series(lines[has_header:], dtype=pl.String)
