"""Forms of files: separators, headers, packed files, encodings, JSON lines and Feather, and faults of whole files."""

from __future__ import annotations

import gzip
from typing import Any

import polars as pl
import pytest
from event_files import CSV, JSON, NAMES, NUMBERS, ROWS, read, text_of, zipped

from seasonrec.data.datasets.table import Table
from seasonrec.data.files import plain, reading
from seasonrec.data.tables import DataError
from seasonrec.errors import UserError

FORMS: dict[str, tuple[str, str | bytes, dict[str, Any], str]] = {
    "semicolons": ("e.csv", text_of(";"), {}, "columns are separated by ';', as its first lines show"),
    "semicolons as said": ("e.csv", text_of(";"), {"separator": ";"}, "as data.separator says"),
    "semicolons by word": ("e.csv", text_of(";"), {"separator": "semicolon"}, "as data.separator says"),
    "tabs in .csv": ("e.csv", text_of("\t"), {}, r"separated by '\t'"),
    "commas in .tsv": ("e.tsv", CSV, {}, "separated by ','"),
    "pipes": ("e.csv", text_of("|"), {}, "separated by '|'"),
    "carets as said": ("e.csv", text_of("^"), {"separator": "^"}, "separated by '^', as data.separator says"),
    "letters beyond ASCII as said": ("e.csv", text_of("§"), {"separator": "§"}, "separated by '§'"),
    "double colons": ("e.dat", text_of("::"), {}, "separated by '::'"),
    "double colons without header": ("e.dat", text_of("::", header=False), NUMBERS, "separated by '::'"),
    "no header": ("e.csv", text_of(",", header=False), NUMBERS, ""),
    "no header, tabs": ("u.data", text_of("\t", header=False), NUMBERS, r"separated by '\t'"),
    "no header, semicolons and decimal commas": (
        "e.csv",
        "".join(f"{u};1,5;{i};{t}\n" for u, i, t in ROWS[:2]) + "é 3;12;i1;1500172800\n",
        {**NUMBERS, "item_column": 3, "time_column": 4},
        "separated by ';'",
    ),
    "a number as the name of a column": ("e.csv", CSV.replace("user_id", "7"), {"user_column": 7}, ""),
    "text": ("e.txt", CSV, {}, "separated by ','"),
    "gzip": ("e.csv.gz", gzip.compress(CSV.encode()), {}, ""),
    "gzip under another name": ("e.csv", gzip.compress(CSV.encode()), {}, ""),
    "gzip of tabs": ("e.TSV.GZ", gzip.compress(text_of("\t").encode()), {}, ""),
    "gzip of JSON lines": ("e.jsonl.gz", gzip.compress(JSON.encode()), {}, ""),
    "zip": ("e.zip", zipped(("a/e.csv", CSV), ("__MACOSX/a/._e.csv", "x")), {}, "the archive's member a/e.csv is read"),
    "zip of semicolons in UTF-8": ("e.zip", zipped(("e.txt", text_of(";"))), {}, "separated by ';'"),
    "RecBole": ("e.inter", text_of("\t").replace("_id", "_id:token").replace("stamp", "stamp:float"), {}, ""),
    "RecBole with a column without type": ("e.inter", text_of("\t").replace("_id", "_id:token"), {}, ""),
    "JSON lines": ("e.jsonl", JSON, {}, ""),
    "JSON lines with blank ones": ("e.jsonl", JSON.replace("\n", "\n\n"), {}, ""),
    "blank lines at the end": ("e.csv", CSV + "\n\n  \n,,\n\n", {}, ""),
    "CR LF and blank lines at the end": ("e.csv", text_of(",", end="\r\n") + "\r\n\r\n", {}, ""),
    "no line end at the end": ("e.csv", CSV.rstrip("\n"), {}, ""),
    "blank lines at the start": ("e.csv", "\n  \n" + CSV, {}, ""),
    "sep=": ("e.csv", "sep=;\r\n" + text_of(";"), {}, "the first line is left out, 'sep=;'"),
    "sep= of an odd mark": ("e.csv", "\ufeffsep=^\n" + text_of("^"), {}, "separated by '^'"),
    "comments": ("e.csv", "# from a shop, 2017\n#\n" + CSV, {}, "the first 2 lines are left out"),
    "comments without header": (
        "e.csv",
        "# a, b, c\n" + text_of(",", header=False),
        NUMBERS,
        "the first line is left out, '# a, b, c'",
    ),
    "a header that begins with #": (
        "e.csv",
        "#,user_id,item_id,timestamp\n" + "".join(f"{n},{','.join(row)}\n" for n, row in enumerate(ROWS)),
        {},
        "nothing reads the columns #;",
    ),
    "blanks after commas": ("e.csv", text_of(", "), {"ids": "strip"}, "item_id: 3 rows were written in another way"),
    "UTF-8 with its mark": ("e.csv", "\ufeff" + CSV, {}, ""),
    "UTF-16 by its mark": ("e.csv", text_of("\t").encode("utf-16"), {}, "read as UTF-16, as its byte order mark says"),
    "UTF-16 big-endian": ("e.csv", b"\xfe\xff" + CSV.encode("utf-16-be"), {}, "read as UTF-16"),
    "UTF-16 without its mark": ("e.csv", CSV.encode("utf-16-le"), {"encoding": "utf-16-le"}, ""),
    "UTF-32 by its mark": ("e.csv", CSV.encode("utf-32"), {}, "read as UTF-32"),
    "Latin-1": ("e.csv", CSV.encode("latin-1"), {"encoding": "latin-1"}, ""),
    "Latin-1, packed": ("e.csv.gz", gzip.compress(CSV.encode("latin-1")), {"encoding": "ISO-8859-1"}, ""),
    "Latin-1 asked for UTF-8 with its mark": ("e.csv", "\ufeff" + CSV, {"encoding": "latin-1"}, ""),
    "marks that a shell expands": ("e [1]*?.csv", CSV, {}, ""),
    "marks that a shell expands, JSON": ("e [1]*?.jsonl", JSON, {}, ""),
}


@pytest.mark.parametrize(("name", "content", "options", "note"), FORMS.values(), ids=FORMS)
def test_the_same_rows_in_every_form(tmp_path, name, content, options, note):
    (tmp_path / "e 1x.csv").write_text("user_id,item_id,timestamp\nother,i9,1500000000\n")  # matches e [1]*?.csv
    rows, notes = read(tmp_path, name, content, **options)
    assert rows == ROWS
    assert note in notes
    if not note:
        assert "separated by" not in notes
        assert "left out" not in notes


@pytest.mark.parametrize("suffix", ["parquet", "feather"])
@pytest.mark.parametrize("name", ["e", "e [1]*?"])
def test_files_with_types(tmp_path, suffix, name):
    path = tmp_path / f"{name}.{suffix}"
    frame = pl.DataFrame(ROWS, NAMES, orient="row").with_columns(pl.col("timestamp").cast(pl.Int64))
    frame.write_parquet(path) if suffix == "parquet" else frame.write_ipc(path)
    events = Table(str(path)).tables().events
    assert events.select("user_id", "item_id", pl.col("timestamp_s").cast(pl.String)).rows() == ROWS


def test_json_keeps_numbers_and_missing_values(tmp_path):
    text = '{"user_id": 17850.0, "item_id": 12345678901234567, "timestamp": 1500000000, "price": 2.5}\n'
    text += '{"timestamp": 1500000000.9, "item_id": "i", "user_id": "x", "price": null}\n'
    text += '{"user_id": true, "item_id": 1, "timestamp": "1500000001"}\n'
    (tmp_path / "e.jsonl").write_text(text)
    events = Table(str(tmp_path / "e.jsonl"), value_column="price").tables().events
    assert events.rows() == [
        ("17850", "12345678901234567", 1500000000, 2.5),
        ("x", "i", 1500000000, None),
        ("true", "1", 1500000001, None),
    ]


def test_items_and_users_have_the_form_of_events_but_a_header(tmp_path):
    (tmp_path / "e.dat").write_bytes(text_of("::", header=False).encode("latin-1"))
    (tmp_path / "i.dat").write_bytes('2::text::category\ni1::Amélie: a film::A|B\ni2::"odd"::C\n'.encode("latin-1"))
    (tmp_path / "u.txt").write_bytes("1;land\né 3;Chad\n".encode("latin-1"))
    files = {key: str(tmp_path / name) for key, name in (("events", "e.dat"), ("items", "i.dat"), ("users", "u.txt"))}
    tables = Table(**files, **NUMBERS, encoding="latin-1").tables()
    assert tables.items.rows() == [("i1", "Amélie: a film", "A|B"), ("i2", '"odd"', "C")]
    assert tables.users is not None
    assert tables.users.rows() == [("é 3", "Chad")]
    assert "u.txt: columns are separated by ';'" in "\n".join(tables.notes)


def test_a_large_file_is_read_in_chunks_up_to_its_blank_end(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "WHOLE_BYTES", 10)
    monkeypatch.setattr(reading, "BATCH_ROWS", 2)
    assert read(tmp_path, "e.csv.gz", gzip.compress((CSV + "\n,,\n").encode()))[0] == ROWS


def test_a_separator_of_two_bytes_across_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(plain, "_CHUNK_BYTES", 7)
    assert read(tmp_path, "e.dat", text_of("::"))[0] == ROWS
    assert read(tmp_path, "l.csv", CSV.encode("latin-1"), encoding="latin-1")[0] == ROWS


def test_rows_of_empty_fields_in_the_middle_are_told(tmp_path):
    with pytest.raises(DataError, match=r"is a key and must not be null, got 1 .* row 4"):
        read(tmp_path, "e.csv", CSV + "\nu9,i1,1500000000\n\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"separator": ""}, "separator must be the mark between two columns, or one of the words tab, comma, .*got ''"),
        ({"separator": "\n"}, r"separator must be .*got '\\n'"),
        ({"separator": '"'}, "separator must be "),
        ({"encoding": "latin-99"}, "encoding must be one of Python's names such as utf-8, .*got 'latin-99'"),
        ({"encoding": "base64"}, "encoding must be one of Python's names"),
        ({"encoding": "a\0"}, "encoding must be one of Python's names"),
        (
            {"header": False},
            "data.user_column must be the number of a column, from 1, as data.header=false, got 'user_id'",
        ),
        ({**NUMBERS, "user_column": 0}, "data.user_column must be at least 1, got 0"),
        ({**NUMBERS, "value_column": "price"}, "data.value_column must be the number of a column, from 1.*got 'price'"),
        ({**NUMBERS, "time_column": 1}, "three different columns, got data.user_column=1, .*data.time_column=1"),
    ],
)
def test_options_that_can_never_work(options, message):
    with pytest.raises(UserError, match=message):
        Table("events.csv", **options)


def test_options_at_their_defaults_are_no_part_of_the_identity(tmp_path):
    (tmp_path / "e.csv").write_text(CSV)
    path = str(tmp_path / "e.csv")
    plainly = Table(path).identity()
    assert not {"separator", "header", "encoding", "ids"} & set(plainly)
    assert Table(path, separator=None, header=True, encoding="utf-8", ids="as_is").identity() == plainly
    others = [{"separator": ";"}, NUMBERS, {"encoding": "latin-1"}, {"ids": "strip"}]
    assert len({str(Table(path, **one).identity()) for one in others} | {str(plainly)}) == 5
    assert Table(path, **NUMBERS).identity() == Table(path, **(NUMBERS | {"user_column": "1"})).identity()


def test_newer_events_are_read_in_the_form_of_the_table(tmp_path):
    table = Table(str(tmp_path / "e.csv"), **NUMBERS, separator=";", ids="strip", encoding="latin-1")
    newer = table.of_newer("n.csv")
    assert (newer.separator, newer.header, newer.ids, newer.encoding) == (";", False, "strip", "latin-1")


def test_ids_with_a_hash_are_no_comments(tmp_path):
    rows = "#1,i1,1500000000\n#2,i2,1500086400\n"
    for text, options in (
        (",".join(NAMES) + "\n" + rows, {}),
        ("# of a shop\n" + rows + "u3,i1,1500000000\n", NUMBERS),
    ):
        assert [user for user, *_ in read(tmp_path, "e.csv", text, **options)[0][:2]] == ["#1", "#2"]


def test_columns_without_a_name_are_not_told(tmp_path):
    assert "nothing reads" not in read(tmp_path, "e.csv", CSV.replace("\n", ",\n"))[1]
