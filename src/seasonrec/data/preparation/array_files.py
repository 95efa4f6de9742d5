"""Files of arrays that are written and read in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike, NDArray

_CHUNK_BYTES = 1 << 20


class ArrayFile:
    """Growing one-dimensional ``.npy`` file; its bytes equal those that ``np.save`` writes for the whole array."""

    def __init__(self, path: Path, dtype: DTypeLike) -> None:
        self._file = path.open("wb")
        self._dtype = np.dtype(dtype)
        self._length = 0
        self._write_header()

    def append(self, values: NDArray[np.generic]) -> None:
        """Appends ``(E,)`` values."""
        np.ascontiguousarray(values, self._dtype).tofile(self._file)
        self._length += len(values)

    def close(self) -> None:
        """Writes the final length into the header, which has room for it, and closes the file."""
        self._file.seek(0)
        self._write_header()
        self._file.close()

    def spec(self) -> dict[str, Any]:
        """Returns the type and shape for the manifest."""
        return {"dtype": str(self._dtype), "shape": [self._length]}

    def _write_header(self) -> None:
        header = {"descr": npy.dtype_to_descr(self._dtype), "fortran_order": False, "shape": (self._length,)}
        npy.write_array_header_1_0(self._file, header)


def values_of(path: Path) -> Iterator[bytes]:
    """Yields the bytes of an ``.npy`` file after its header, in pieces."""
    with path.open("rb") as file:
        npy.read_magic(file)
        npy.read_array_header_1_0(file)
        while piece := file.read(_CHUNK_BYTES):
            yield piece
