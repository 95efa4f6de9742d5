"""Arrays on disk: written piece by piece while their length is still unknown, and hashed without being loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike, NDArray

_CHUNK_BYTES = 1 << 20


class ArrayFile:
    """A one-dimensional ``.npy`` file that grows; byte for byte what ``np.save`` of the whole would write.

    Args:
        path: The file.
        dtype: Type of the values.
    """

    def __init__(self, path: Path, dtype: DTypeLike) -> None:
        self._file = path.open("wb")
        self._dtype = np.dtype(dtype)
        self._length = 0
        self._write_header()

    def append(self, values: NDArray[np.generic]) -> None:
        """Adds ``(E,)`` values."""
        np.ascontiguousarray(values, self._dtype).tofile(self._file)
        self._length += len(values)

    def close(self) -> None:
        """Writes the final length; numpy leaves room for it in the header."""
        self._file.seek(0)
        self._write_header()
        self._file.close()

    def spec(self) -> dict[str, Any]:
        """Type and shape, as a manifest keeps them."""
        return {"dtype": str(self._dtype), "shape": [self._length]}

    def _write_header(self) -> None:
        header = {"descr": npy.dtype_to_descr(self._dtype), "fortran_order": False, "shape": (self._length,)}
        npy.write_array_header_1_0(self._file, header)


def values_of(path: Path) -> Iterator[bytes]:
    """The bytes of an ``.npy`` file behind its header, a piece at a time."""
    with path.open("rb") as file:
        npy.read_magic(file)
        npy.read_array_header_1_0(file)
        while piece := file.read(_CHUNK_BYTES):
            yield piece
