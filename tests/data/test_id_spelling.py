"""Spellings of ids: notes that name them, and the rule that undoes them in events, items, users and lists of users."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from seasonrec.data.datasets.table import Table
from seasonrec.data.files.id_spelling import MISSING, spelled
from seasonrec.data.tables import DataError
from seasonrec.data.user_ids import read_user_ids

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


def table(folder: Path, written: list[str], **options: Any) -> Table:
    items = ["i1", "i2"] * len(written)
    frame = pl.DataFrame({"user_id": written, "item_id": items[: len(written)]}).with_row_index(
        "timestamp", 1_500_000_000
    )
    frame.write_csv(folder / "e.csv")
    return Table(str(folder / "e.csv"), **options)


def notes_of(folder: Path, users: list[str], **options: Any) -> list[str]:
    """Returns the notes on users."""
    return [note for note in table(folder, users, **options).tables().notes if note.startswith("user_id")]


NOTED = {
    "a word": (["nan", "u1", "nan"], ["user_id: 'nan' in 2 rows: a word for a missing value, read as an id"]),
    "words": (["NULL", "7", "<NA>", "None"], ["'NULL' in 1 rows, '<NA>' in 1 rows, 'None' in 1 rows: a word for"]),
    "point zero": (
        ["1004.0", "1004", "1005.0", "x", "1004.0"],
        ["user_id: 3 rows have a whole number written with .0, such as '1004.0'; 1 of these 2 ids differ"],
    ),
    "point zero everywhere": (["1004.0", "1005.00"], ["2 rows have a whole number .*; 0 of these 2 .* reads '1004'"]),
    "trailing blanks": (["100 ", "100", "\t7"], [r"2 rows have blanks .*such as '100 '; 1 of these 2 ids differ"]),
    "no-break space": (["a\u00a0", "a"], [r"1 rows have blanks .*such as 'a\\xa0'; 1 of these 1 .* reads 'a'"]),
    "zero width": (["\ufeffa\u200b", "b"], ["1 rows have blanks"]),
    "lost digits": (
        ["1.00E+15", "1,5e+9", "x"],
        ["2 rows have numbers that lost their digits.*, such as '1.00E\\+15'"],
    ),
    "composed": (
        [DECOMPOSED, COMPOSED],
        ["1 rows have letters composed of two .*; 1 of these 1 ids differ from another"],
    ),
    "nothing": (["u1", "U1", "7", "007", "-1", "1.5", "1e5", "u 1", COMPOSED, "banana", "Nancy", "A.0"], []),
}


@pytest.mark.parametrize(("users", "expected"), NOTED.values(), ids=NOTED)
def test_spellings_are_noted(tmp_path, users, expected):
    notes = [note for note in notes_of(tmp_path, users) if "all are text" not in note]
    assert len(notes) == len(expected)
    for note, pattern in zip(notes, expected, strict=True):
        pl.Series([note]).str.contains(pattern).item() or pytest.fail(f"{pattern} is not in {note}")


@pytest.mark.parametrize("word", [*MISSING, "NaN", "NONE", "N/A"])
def test_every_word_of_a_missing_id_is_noted(tmp_path, word):
    assert "a word for a missing value" in notes_of(tmp_path, [word, "u1"])[0]


def test_an_empty_id_is_refused_under_each_rule(tmp_path):
    for users, rule in ((["", "u1"], "as_is"), (["u1", " \u00a0"], "strip"), (["u1", "\u200b"], "strip")):
        with pytest.raises(DataError, match=r"user_id is a key and must not be null, got 1 "):
            table(tmp_path, users, ids=rule).tables()


def test_a_nul_byte_in_an_id_is_refused(tmp_path):
    frame = pl.DataFrame({"user_id": ["a\0", "b"], "item_id": ["i", "j"], "timestamp": [1_500_000_000, 1_500_000_001]})
    frame.write_parquet(tmp_path / "e.parquet")
    with pytest.raises(DataError, match=r"column user_id must be text, got a NUL byte in 'a\\x00' and in 1 values"):
        Table(str(tmp_path / "e.parquet")).tables()


def test_strip_reads_one_id_in_all_files(tmp_path):
    users = ["1004.0", " 1004", "1004\u00a0", COMPOSED, DECOMPOSED, "u1"]
    (tmp_path / "i.csv").write_text("item_id,text\ni1 ,milk\n i2,egg\ni1,again\n")
    (tmp_path / "u.csv").write_text("user_id,land\n1004.00,Chad\n")
    files = {"items": str(tmp_path / "i.csv"), "users": str(tmp_path / "u.csv")}
    found = table(tmp_path, users, ids="strip", **files).tables()
    assert found.events["user_id"].to_list() == ["1004"] * 3 + [COMPOSED] * 2 + ["u1"]
    assert found.items["text"].to_list() == ["milk", "egg"]
    assert found.users is not None
    assert found.users.rows() == [("1004", "Chad")]
    assert "user_id: 4 rows were written in another way (data.ids=strip)" in found.notes
    assert {rule.name: rule.rows for rule in found.rules}["further row of an item in the items' file"] == 1


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (" a b ", "a b"),
        ("17850.0", "17850"),
        ("-5.000", "-5"),
        ("1.50", "1.50"),
        ("v1.0", "v1.0"),
        ("1.0.0", "1.0.0"),
        ("007.0", "007"),
        ("1.00E+15", "1.00E+15"),
        (" 7.0\u00a0", "7"),
        (DECOMPOSED, COMPOSED),
    ],
)
def test_strip_by_hand(written, read):
    assert spelled(pl.Series([written]), "strip").to_list() == [read]
    assert spelled(pl.Series([written]), "as_is").to_list() == [written]


def test_numbers_stay_numbers():
    assert spelled(pl.Series([7, 8]), "strip").dtype == pl.Int64


def test_ids_that_match_only_without_blanks_are_told(tmp_path):
    (tmp_path / "i.csv").write_text("item_id,text\ni1 ,milk\n")
    with pytest.raises(
        DataError, match=r"none of the 1 item ids occurs .* in both, set data.ids=strip, or map the right"
    ):
        table(tmp_path, ["u1", "u2"], items=str(tmp_path / "i.csv")).tables()


@pytest.mark.parametrize("name", ["users.txt", "users.csv", "users", "users.csv.gz", "users.parquet", "users.jsonl"])
def test_lists_of_users_are_read_as_events_are(tmp_path, name):
    ids, path = ["100 ", "1004.0", "nan", "\u00a0x", "100 "], tmp_path / name
    frame = pl.DataFrame({"user_id": ids})
    match path.suffix:
        case ".parquet":
            frame.write_parquet(path)
        case ".jsonl":
            frame.write_ndjson(path)
        case ".gz":
            frame.write_csv(path, compression="gzip")
        case _:
            path.write_text("user_id\n" + "\n".join(ids) + "\n", encoding="utf-8")
    assert read_user_ids(path) == ["100 ", "1004.0", "nan", "\u00a0x"]
    assert read_user_ids(path, rule="strip") == ["100", "1004", "nan", "x"]
