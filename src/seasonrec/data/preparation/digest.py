"""Hash of the content of a prepared log, independent of the format of its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seasonrec.data.occasions import Occasion, as_rows
from seasonrec.data.preparation.array_files import values_of

_ROWS_AT_ONCE = 1 << 16


def content_digest(
    arrays: Mapping[str, NDArray[Any]],
    items: pl.DataFrame,
    users: pl.DataFrame,
    occasions: Sequence[Occasion] = (),
) -> str:
    """Returns the SHA-256 over the values of a log in memory."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(_title(name, arrays[name].dtype, arrays[name].shape))
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return _with_tables(digest, items, users, occasions)


def folder_digest(
    folder: Path,
    specs: Mapping[str, Mapping[str, Any]],
    items: pl.DataFrame,
    users: pl.DataFrame,
    occasions: Sequence[Occasion] = (),
) -> str:
    """Returns the :func:`content_digest` of the arrays in a folder, with one piece in memory at a time.

    The arrays are the files ``name.npy``; ``specs`` has ``{"dtype": ..., "shape": [...]}`` for each name.
    """
    digest = hashlib.sha256()
    for name in sorted(specs):
        digest.update(_title(name, np.dtype(specs[name]["dtype"]), tuple(specs[name]["shape"])))
        for piece in values_of(folder / f"{name}.npy"):
            digest.update(piece)
    return _with_tables(digest, items, users, occasions)


def _title(name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    return f"{name}:{dtype.str}:{shape};".encode()


def _with_tables(digest: hashlib._Hash, items: pl.DataFrame, users: pl.DataFrame, occasions: Sequence[Occasion]) -> str:
    for frame in (items, users.select("user_id")):
        for piece in _json(frame):
            digest.update(piece.encode())
    if occasions:
        digest.update(json.dumps(as_rows(occasions)).encode())
    return digest.hexdigest()


def _json(frame: pl.DataFrame) -> Iterator[str]:
    """Yields ``json.dumps`` of the columns in the order of their names, in pieces to keep memory small."""
    for number, name in enumerate(sorted(frame.columns)):
        yield ("{" if number == 0 else ", ") + json.dumps(name) + ": ["
        for start in range(0, frame.height, _ROWS_AT_ONCE):
            values = frame[name].slice(start, _ROWS_AT_ONCE).to_list()
            yield (", " if start else "") + json.dumps(values)[1:-1]
        yield "]"
    yield "}"
