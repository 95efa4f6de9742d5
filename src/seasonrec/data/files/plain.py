"""Plain text of a file: unpacked, and decoded to UTF-8."""

from __future__ import annotations

import codecs
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from seasonrec.data.files.packing import limit_of, opened, too_large
from seasonrec.data.tables import DataError
from seasonrec.errors import UserError

HEAD_BYTES = 1 << 20
"""Bytes from which the form of a file is recognised."""

STAND_IN = "\x1f"
"""One byte that stands for a separator of several, since the reader takes one byte only."""

_CHUNK_BYTES = 1 << 22
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Head(NamedTuple):
    """First megabyte of a file as text.

    Args:
        text: The text.
        encoding: Python's name of the encoding, ``utf-8`` where no conversion is needed.
        notes: Notes for the user on the member of an archive and on the encoding.
        whole: Whether the text is the whole file.
    """

    text: str
    encoding: str
    notes: tuple[str, ...]
    whole: bool


def check_encoding(encoding: str) -> None:
    """Checks that an encoding is one of text.

    Raises:
        UserError: If Python does not know it.
    """
    try:
        "x".encode(encoding)  # refuses codecs that are not of text
        codecs.getincrementaldecoder(encoding)
    except (LookupError, ValueError) as error:
        raise UserError(
            f"encoding must be one of Python's names such as utf-8, latin-1 or cp1252, got {encoding!r}."
        ) from error


def head_of(path: Path, encoding: str) -> Head:
    """Returns the beginning of a file of text.

    Args:
        path: The file.
        encoding: Encoding of a file without a byte order mark.

    Raises:
        DataError: If the file is no text, is of another encoding, has NUL bytes, or ends its lines with CR alone.
    """
    with opened(path) as (file, member):
        raw = file.read(HEAD_BYTES)
        whole = not file.read(1)
    notes = [] if member is None else [f"{path}: the archive's member {member} is read"]
    marked = next((name for mark, name in _MARKS if raw.startswith(mark)), None)
    chosen = _named(marked or encoding)
    if marked not in (None, "utf-8"):
        notes.append(f"{path}: read as {chosen.upper()}, as its byte order mark says")
    if chosen == "utf-8":
        _refuse_nul(raw.decode("latin-1"), path)  # before faults of UTF-8, which UTF-16 without a mark has too
    text = _decoded(raw, chosen, whole, path)
    if chosen not in ("utf-8", "utf-16", "utf-32") and not raw.isascii() and _is_utf8(raw):
        notes.append(
            f"{path}: read as {chosen}, but all bytes also fit UTF-8; leave data.encoding out if words are odd"
        )
    _refuse_nul(text, path)
    if "\r" in text and "\n" not in text:
        raise DataError(f"{path}: line ends are CR alone; convert them, e.g. tr '\\r' '\\n' < {path.name} > new.csv.")
    return Head(text.removeprefix("\ufeff"), chosen, tuple(notes), whole)


@contextmanager
def plain(path: Path, encoding: str, separator: str) -> Iterator[Path]:
    """Gives the path of the file's unpacked text in UTF-8, whose separator is one byte.

    This is the file itself, or a temporary file without a name, which is gone with the process. A path holds no mark
    that a reader would expand.

    Args:
        path: The file.
        encoding: Encoding from :func:`head_of`.
        separator: Separator of the columns; one of several bytes becomes :data:`STAND_IN`.

    Raises:
        DataError: If the file cannot be unpacked or decoded, or unpacks to more than the limit.
    """
    with path.open("rb") as file:
        packed = file.read(4).startswith((b"\x1f\x8b", b"PK\x03\x04"))
        if not packed and encoding == "utf-8" and len(separator.encode()) == 1:
            yield Path(f"/dev/fd/{file.fileno()}") if set("*?[").intersection(str(path)) else path
            return
    with tempfile.TemporaryFile() as copy:
        _copy(path, encoding, separator, copy)
        copy.flush()
        yield Path(f"/dev/fd/{copy.fileno()}")


def not_encoded(path: Path, encoding: str, line: int) -> DataError:
    """Returns the error of bytes of another encoding."""
    return DataError(
        f"{path} must be {encoding.upper()}, got other bytes in line {line:,}; convert it, e.g. "
        f"iconv -f latin1 -t utf-8 {path.name}, or, with data=table, set data.encoding, e.g. to latin-1."
    )


def blank_lines_at_end(path: Path, separator: str) -> int:
    """Returns the number of lines after the last one that holds more than blanks and separators."""
    blank, tail = b" \t\r\n" + separator.encode(), b""
    with path.open("rb") as file:
        place = os.fstat(file.fileno()).st_size
        while place and not tail.strip(blank):
            start = max(place - (1 << 16), 0)
            file.seek(start)
            tail, place = file.read(place - start) + tail, start
    after = tail[len(tail.rstrip(blank)) :].partition(b"\n")[2]
    return after.count(b"\n") + bool(after and not after.endswith(b"\n"))


def _copy(path: Path, encoding: str, separator: str, copy: IO[bytes]) -> None:
    limit, bytes_read, lines = limit_of(path), 0, 1
    decoder = codecs.getincrementaldecoder(encoding)()
    mark, rest = separator.encode(), b""
    with opened(path) as (file, _):
        while True:
            chunk = file.read(_CHUNK_BYTES)
            bytes_read += len(chunk)
            if bytes_read > limit:
                raise too_large(path)
            try:
                text = chunk if encoding == "utf-8" else decoder.decode(chunk, final=not chunk).encode()
            except UnicodeDecodeError as error:
                raise not_encoded(path, encoding, lines + error.object[: error.start].count(b"\n")) from error
            lines += text.count(b"\n")
            if len(mark) > 1:  # whole lines, so that no separator is cut
                text, end = rest + text, (rest + text).rfind(b"\n") + 1
                text, rest = (text[:end], text[end:]) if chunk else (text, b"")
                text = text.replace(mark, STAND_IN.encode())
            copy.write(text)
            if not chunk:
                return


def _decoded(raw: bytes, encoding: str, whole: bool, path: Path) -> str:
    try:
        return codecs.getincrementaldecoder(encoding)().decode(raw, final=whole)
    except UnicodeDecodeError as error:
        raise not_encoded(path, encoding, raw[: error.start].count(b"\n") + 1) from error


def _named(encoding: str) -> str:
    """Returns Python's one name of an encoding."""
    name = codecs.lookup(encoding).name
    return {"utf-8-sig": "utf-8", "ascii": "utf-8", "iso8859-1": "latin-1"}.get(name, name)


def _is_utf8(raw: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(raw)
    except UnicodeDecodeError:
        return False
    return True


def _refuse_nul(text: str, path: Path) -> None:
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise DataError(
            f"{path} must be text, got a NUL byte in line {line:,}; export it again as UTF-8, or, if it is UTF-16 "
            "without a mark, set data.encoding=utf-16-le (with data=table)."
        )
