"""A few events in many forms of files."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import polars as pl

from seasonrec.data.datasets.table import Table

ROWS = [("u1", "i1", "1500000000"), ("u2", "i2", "1500086400"), ("é 3", "i1", "1500172800")]
NAMES = ("user_id", "item_id", "timestamp")
NUMBERS = {"header": False, "user_column": 1, "item_column": 2, "time_column": 3}


def text_of(mark: str, header: bool = True, end: str = "\n") -> str:
    return "".join(mark.join(row) + end for row in ([NAMES] if header else []) + ROWS)


def zipped(*members: tuple[str, str]) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members:
            archive.writestr(name, text)
    return memory.getvalue()


def read(folder: Path, name: str, content: str | bytes, **options: Any) -> tuple[list[tuple[Any, ...]], str]:
    """Returns the events of a file, and the notes."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    tables = Table(str(path), **options).tables()
    events = tables.events.select("user_id", "item_id", pl.col("timestamp_s").cast(pl.String))
    return events.rows(), "\n".join(tables.notes)


JSON = "".join(f'{{"user_id": "{u}", "more": {{"a": 1}}, "item_id": "{i}", "timestamp": {t}}}\n' for u, i, t in ROWS)
CSV = text_of(",")
