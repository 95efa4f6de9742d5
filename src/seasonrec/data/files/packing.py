"""Endings of files, and the unpacked bytes of gzip files and zip archives."""

from __future__ import annotations

import gzip
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from seasonrec.data.files.column_lists import listed
from seasonrec.data.tables import DataError

SEPARATORS: dict[str, str | None] = {
    ".csv": ",",
    ".tsv": "\t",
    ".txt": None,
    ".dat": None,
    ".data": None,
    ".inter": "\t",
    ".item": "\t",
    ".user": "\t",
}
"""Usual separator of the columns by ending; None where there is none. The last three are RecBole's atomic files."""

TEXT_SUFFIXES = (*SEPARATORS, ".jsonl")

MAX_UNPACKED_BYTES, MAX_RATIO = 1 << 28, 100
"""Limits of a packed file: it may unpack to 256 MiB, or to 100 times its own size if that is more."""

_FOREIGN = {
    b"PAR1": "is a Parquet file; name it .parquet",
    b"ARROW1": "is a Feather file; name it .feather",
    b"\x28\xb5\x2f\xfd": "is packed with zstd; unpack it (zstd -d)",
    b"BZh": "is packed with bzip2; unpack it (bunzip2)",
    b"\xfd7zXZ": "is packed with xz; unpack it (unxz)",
    b"7z\xbc\xaf": "is a 7z archive; unpack it",
    b"%PDF": "is a PDF; export the table as CSV",
    b"\xd0\xcf\x11\xe0": "is an old Excel workbook; save it as CSV",
}
"""First bytes of files that are no text, and the end of the message."""

_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, struct.error, zipfile.BadZipFile, NotImplementedError)
"""Errors of damaged archives; ``zipfile`` raises NotImplementedError for a compression that it does not know."""


def suffix_of(path: Path) -> str:
    """Returns the ending that tells the form of a file, in small letters: ``.csv`` for ``E.csv.gz``.

    That of an archive is the ending of its member.

    Raises:
        DataError: If an archive is damaged or has not one member.
    """
    suffix = path.suffix.lower()
    if suffix == ".gz":
        return Path(path.stem).suffix.lower()
    if suffix != ".zip":
        return suffix
    with _refusing(path), zipfile.ZipFile(path) as archive:
        return Path(_member(archive, path).filename).suffix.lower()


@contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], str | None]]:
    """Opens the unpacked bytes of a file; gives the name of an archive's member too."""
    with _refusing(path), path.open("rb") as file:
        first = file.read(8)
        file.seek(0)
        if first.startswith(b"\x1f\x8b"):
            with gzip.open(file) as unpacked:
                yield unpacked, None  # type: ignore[misc]  # GzipFile reads like a file
        elif first.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            with zipfile.ZipFile(file) as archive, archive.open(_member(archive, path)) as member:
                yield member, member.name
        else:
            for magic, told in _FOREIGN.items():
                if first.startswith(magic):
                    raise DataError(f"{path} {told}.")
            yield file, None


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise DataError(f"{path} cannot be unpacked or read: {error}; make the file again.") from error


def _member(archive: zipfile.ZipFile, path: Path) -> zipfile.ZipInfo:
    """Returns the only file of an archive, apart from those that macOS adds."""
    files = [one for one in archive.infolist() if not one.is_dir() and not one.filename.startswith("__MACOSX/")]
    if any(one.filename.startswith("xl/") for one in files):
        raise DataError(f"{path} is an Excel workbook; save the sheet as CSV.")
    if len(files) != 1:
        names = listed([one.filename for one in files])
        raise DataError(f"{path} must be an archive of one file, got {len(files)}: {names}; unpack it and name a file.")
    if files[0].flag_bits & 1:
        raise DataError(f"{path} is an archive with a password; unpack it.")
    if files[0].file_size > limit_of(path):
        raise too_large(path)
    if path.suffix.lower() == ".zip" and Path(files[0].filename).suffix.lower() not in TEXT_SUFFIXES:
        raise DataError(
            f"{path}: its member must end in {', '.join(TEXT_SUFFIXES)}, got {listed([files[0].filename])}."
        )
    return files[0]


def limit_of(path: Path) -> int:
    """Returns the most bytes to which a packed file may unpack."""
    return max(MAX_UNPACKED_BYTES, MAX_RATIO * path.stat().st_size)


def too_large(path: Path) -> DataError:
    """Returns the error of a file that unpacks to more than the limit."""
    return DataError(
        f"{path} unpacks to more than {limit_of(path):,} bytes, the larger of 256 MiB and {MAX_RATIO} times its own "
        "size; unpack it and give the file itself if it is no mistake."
    )
