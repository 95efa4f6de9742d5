from __future__ import annotations

from pathlib import Path

import pytest

from seasonrec.data.tables import DataError
from seasonrec.data.user_ids import read_user_ids


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("users.txt", "7\n07\n\nb\n7\n"),
        ("users.txt", "user_id\r\n7\r\n07\r\nb\r\n"),
        ("users.csv", "\ufeffuser_id\n7\n07\nb\n"),
        ("users.csv", 'name,user_id\n"x, y",7\nz,07\nw,b\n'),
        ("users.tsv", "user_id\tname\n7\tx\n07\ty\nb\tz\n"),
    ],
)
def test_ids_are_read_as_they_stand(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert read_user_ids(path) == ["7", "07", "b"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("users.txt", b"", "users must name a file with at least one user id, got "),
        ("users.txt", b"user_id\n\n", "users must name a file with at least one user id, got "),
        ("users.csv", b"id,name\n1,x\n", "users need a column user_id, got the header 'id, name'"),
        ("users.csv", b"user_id,name\n,x\n", "column user_id is a key and must not be null"),
        ("users.txt", b"caf\xe9\n", "must be UTF-8, got other bytes in line 1"),
    ],
)
def test_files_that_name_no_users_are_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_user_ids(path)


def test_a_folder_or_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"users must be all, a file with one user id per line, or a list of ids, got .* \(a folder\)"
    ):
        read_user_ids(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        read_user_ids(tmp_path / "users.txt")
