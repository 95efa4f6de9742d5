"""Faults of whole files: each message names the file, the rule and the remedy, in one printable line."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from event_files import CSV, JSON, NUMBERS, read, text_of, zipped

from seasonrec.data.files import packing
from seasonrec.data.tables import DataError

ZIP = zipped(("e.csv", CSV))
LATIN = "a,b\nü,1\n".encode("latin-1")
FAULTS: dict[str, tuple[str, str | bytes, dict[str, Any], str]] = {
    "CR alone": (
        "e.csv",
        text_of(",", end="\r"),
        {},
        r"line ends are CR alone; convert them, e.g. tr '\\r' '\\n' < e.csv",
    ),
    "NUL at the start": ("e.csv", CSV.replace("u2", "u\0"), {}, "must be text, got a NUL byte in line 3; export it"),
    "UTF-16 without mark": ("e.csv", CSV.encode("utf-16-le"), {}, "NUL byte in line 1.*set data.encoding=utf-16-le"),
    "zeros": ("e.csv", bytes(100), {}, "NUL byte in line 1"),
    "not UTF-8": ("e.csv", LATIN, {}, "must be UTF-8, got other bytes in line 2; .*or, with data=table, set data.enc"),
    "not UTF-8, packed": ("e.csv.gz", gzip.compress(LATIN), {}, "must be UTF-8, got other bytes in line 2"),
    "not Shift-JIS": (
        "e.csv",
        CSV.encode("shift_jis", "ignore") + b"\xff\xff",
        {"encoding": "shift_jis"},
        "must be SHIFT_JIS, got other bytes in line 5",
    ),
    "a column twice": (
        "e.csv",
        CSV.replace("item_id", "user_id"),
        {"item_column": "timestamp", "time_column": "x"},
        "must have each column once, got 'user_id' as columns 1 and 2; rename",
    ),
    "a column twice but for blanks": (
        "e.csv",
        "user_id, user_id,item_id,timestamp\na,b,c,1500000000\n",
        {},
        "got 'user_id' as columns 1 and 2",
    ),
    "no header": (
        "e.csv",
        text_of(",", header=False),
        {},
        "The first row looks like data: write a header, or, for events, "
        "set data.header=false and give the numbers of the columns, e.g. data.user_column=1",
    ),
    "an odd separator": (
        "e.csv",
        text_of("^"),
        {},
        "Its columns: user_id.item_id.timestamp. If another mark separates them",
    ),
    "two separators": (
        "e.csv",
        text_of(";").replace("\n", ",x\n"),
        {},
        "If ';' separates them, set data.separator=semicolon",
    ),
    "a number too high": (
        "e.csv",
        text_of(",", header=False),
        {**NUMBERS, "time_column": 4},
        r"lacks .*data.time_column=4.* Its columns: 1, 2, 3. With data.header=false they are numbered",
    ),
    "control characters": ("e.csv", "a\x1b[31m,\x07\n1,2\n", {}, r"Its columns: a\\x1b\[31m, \\x07\."),
    "many columns": (
        "e.csv",
        ",".join(f"c{n}" for n in range(3000)) + "\n",
        {},
        r"Its columns: c0, .*c9 and 2,990 more\.",
    ),
    "a long name": ("e.csv", "x" * 5000 + ",b\n1,2\n", {}, f"Its columns: {'x' * 40}..., b"),
    "a long line": ("e.csv", "x" * (1 << 20) + "y", {}, "the first line is longer than 1,048,576 characters"),
    "blank lines alone": ("e.csv", "\n\n \n", {}, "e.csv is empty"),
    "comments alone": ("e.csv", "# a\n# b\n", {}, "e.csv lacks a column|e.csv is empty"),
    "a Parquet file": ("e.csv", b"PAR1xxxx", {}, "is a Parquet file; name it .parquet"),
    "zstd": ("e.csv", b"\x28\xb5\x2f\xfdxxxx", {}, "is packed with zstd; unpack it"),
    "half a gzip": ("e.csv.gz", gzip.compress(CSV.encode())[:-12], {}, "cannot be unpacked or read"),
    "a damaged zip": (
        "e.zip",
        ZIP[:50] + bytes([ZIP[50] ^ 255]) + ZIP[51:],
        {},
        "cannot be unpacked or read: ",
    ),
    "no zip": ("e.zip", CSV, {}, "cannot be unpacked or read: File is not a zip file"),
    "two members": (
        "e.zip",
        zipped(("a.csv", CSV), ("b.csv", CSV)),
        {},
        "archive of one file, got 2: a.csv, b.csv; unpack",
    ),
    "a member of another kind": ("e.zip", zipped(("a.png", CSV)), {}, "its member must end in .csv, .* got a.png"),
    "an empty zip": ("e.zip", zipped(), {}, "archive of one file, got 0"),
    "a workbook": (
        "e.csv",
        zipped(("xl/workbook.xml", "x"), ("b", "y")),
        {},
        "is an Excel workbook; save the sheet as CSV",
    ),
    "JSON in one list": (
        "e.jsonl",
        "[" + JSON.splitlines()[0] + "]",
        {},
        r"one JSON object a line, got '\[\{.* in line 1",
    ),
    "JSON cut": ("e.jsonl", JSON[:-20], {}, "one JSON object a line, got .* in line 3"),
    "JSON without a key": ("e.jsonl", '{"user": 1}\n', {}, r"lacks .*data.user_column=user_id \(did you mean user\?\)"),
    "too many fields": (
        "e.csv",
        "# x\n" + text_of(";") + "a;b;c;d\n",
        {},
        "3 fields in every row.*got 4 in line 6.*';'",
    ),
    "Feather of version 1": ("e.feather", b"FEA1" + bytes(40) + b"FEA1", {}, "cannot be read as feather"),
}


@pytest.mark.parametrize(("name", "content", "options", "message"), FAULTS.values(), ids=FAULTS)
def test_faults_of_whole_files(tmp_path, name, content, options, message):
    with pytest.raises(DataError, match=message) as raised:
        read(tmp_path, name, content, **options)
    assert len(str(raised.value)) < 700 + len(str(tmp_path))
    assert all(mark.isprintable() for mark in str(raised.value))


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "MAX_UNPACKED_BYTES", 1 << 20)
    bomb = (CSV + "u1,i1,1500000000\n" * 500_000).encode()
    archive = zipped(("e.csv", bomb.decode()))
    for name, content in (("e.csv.gz", gzip.compress(bomb)), ("e.csv", gzip.compress(bomb)), ("e.zip", archive)):
        with pytest.raises(DataError, match=r"unpacks to more than [0-9,]+ bytes, the larger of 256 MiB and 100 times"):
            read(tmp_path, name, content)
    assert not [path for path in tmp_path.iterdir() if path.suffix not in (".csv", ".gz", ".zip")]
