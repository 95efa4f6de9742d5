"""Tests of the digests of a folder: intact, damaged, without an entry, and from an earlier version."""

import json
from pathlib import Path

import pytest

from seasonrec import digests
from seasonrec.digests import MANIFEST, DamagedError, check, entries_of, fault, is_expected, read_json, seal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.json").write_text('{"a": 1}')
    (tmp_path / "b.csv").write_text("b")
    (tmp_path / "log.txt").write_text("never read")
    seal(tmp_path)
    return tmp_path


def test_the_manifest_has_size_and_sha256_of_what_is_read(folder: Path) -> None:
    sha256 = "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"  # printf b | sha256sum
    entries = entries_of(folder)
    assert entries is not None
    assert entries.keys() == {"a.json", "b.csv"}
    assert entries["b.csv"] == {"bytes": 1, "sha256": sha256}
    assert read_json(folder / "a.json", "x") == {"a": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [("c", r"b.csv is damaged: it differs .*; write it again\."), (None, r"b.csv is missing; write it again\.")],
)
def test_a_changed_or_missing_file_is_named(folder: Path, content: str | None, message: str) -> None:
    (folder / "b.csv").unlink()
    if content is not None:
        (folder / "b.csv").write_text(content)
    assert is_expected(folder / "b.csv")
    with pytest.raises(DamagedError, match=message):
        check(folder / "b.csv", "write it again")


def test_a_file_whose_entry_was_taken_out_is_refused(folder: Path) -> None:
    digests.write_entries(folder, {"a.json": (entries_of(folder) or {})["a.json"]})
    found = fault(folder / "b.csv")
    assert found
    assert found.unlisted
    with pytest.raises(DamagedError, match=r"b\.csv has no entry in digests\.json"):
        check(folder / "b.csv", "x")


@pytest.mark.parametrize("change", [lambda text: text.replace("1", "2", 1), lambda text: text[:-9], lambda text: "[]"])
def test_a_damaged_manifest_is_named(folder: Path, change) -> None:
    (folder / MANIFEST).write_text(change((folder / MANIFEST).read_text()))
    with pytest.raises(DamagedError, match=r"digests.json is damaged, so that no file .* can be checked"):
        fault(folder / "a.json")


def test_the_folder_of_an_earlier_version_is_read_with_one_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digests._tell_unchecked_once.cache_clear()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.json").write_text(json.dumps({"is": name}))
        (tmp_path / name / "b.json").write_text("{}")
        seal(tmp_path / name, ["b.json"])  # does not make the other files look damaged
        assert read_json(tmp_path / name / "a.json", "x") == {"is": name}
    assert capsys.readouterr().out.count("has no digests.json, which earlier versions did not write") == 1


def test_later_files_are_added_and_removed_ones_taken_out(folder: Path) -> None:
    (folder / "c.parquet").write_text("c")
    (folder / "b.csv").unlink()
    seal(folder, ["b.csv", "c.parquet"])
    assert (entries_of(folder) or {}).keys() == {"a.json", "c.parquet"}
    assert fault(folder / "c.parquet") is None


def test_a_file_that_holds_no_object_is_named(tmp_path: Path) -> None:
    for text in ("[1]", "\x00\x00", "{", "[" * 100_000):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(DamagedError, match=r"a.json is damaged: it holds no JSON object; again\."):
            read_json(tmp_path / "a.json", "again")
