"""Queue of blocks of columns, in memory if they are small, else on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

MEMORY_ROWS = 1 << 22
"""Rows kept in memory, about 80 MB of events."""

Block = tuple[NDArray[Any], ...]
"""Columns of equal length."""


class Spool:
    """Queue of blocks that can be read any number of times.

    Args:
        dtypes: Types of the columns.
        path: File for blocks that do not stay in memory; None keeps everything in memory.
        memory_rows: Number of rows above which the file is used; None means :data:`MEMORY_ROWS`.

    Attributes:
        rows: Rows of all blocks.
    """

    def __init__(self, dtypes: Sequence[DTypeLike], path: Path | None, memory_rows: int | None = None) -> None:
        self.rows = 0
        self.dtypes = [np.dtype(dtype) for dtype in dtypes]
        self._path = path
        self._memory_rows = MEMORY_ROWS if memory_rows is None else memory_rows
        self._held: list[Block] = []
        self._written: list[int] = []

    def append(self, *columns: NDArray[Any]) -> None:
        """Adds a block; the columns are not copied, so they must not change afterwards."""
        self.rows += len(columns[0])
        self._held.append(tuple(np.asarray(c, t) for c, t in zip(columns, self.dtypes, strict=True)))
        if self._path is not None and self.rows > self._memory_rows:
            self._write(self._path)

    def blocks(self) -> Iterator[Block]:
        """Yields all blocks in the order in which they came."""
        if self._written and self._path is not None:
            with self._path.open("rb") as file:
                for rows in self._written:
                    yield tuple(np.fromfile(file, dtype, rows) for dtype in self.dtypes)
        yield from self._held

    def take(self) -> Block:
        """Returns everything as one block; empties the spool and removes its file."""
        blocks = list(self.blocks())
        self.clear()
        if len(blocks) == 1:
            return blocks[0]
        empty = [np.empty(0, dtype) for dtype in self.dtypes]
        return tuple(np.concatenate([none, *parts]) for none, *parts in zip(empty, *blocks, strict=True))

    def clear(self) -> None:
        """Empties the spool and removes its file."""
        if self._written and self._path is not None:
            self._path.unlink()
        self.rows, self._held, self._written = 0, [], []

    def _write(self, path: Path) -> None:
        with path.open("ab") as file:  # opened for every write: hundreds of spools may be in use at once
            for block in self._held:
                for column in block:
                    column.tofile(file)
                self._written.append(len(block[0]))
        self._held = []
