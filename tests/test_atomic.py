"""Tests of atomic writing: a file is complete or unchanged, and only a regular file is replaced."""

import os
from pathlib import Path

import pytest

from seasonrec.atomic import write_text, writing
from seasonrec.errors import UserError


def test_a_file_is_replaced_at_the_end_of_the_block(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    write_text(path, "before\n")
    with writing(path) as temporary:
        temporary.write_text("after\n")
        assert path.read_text() == "before\n"
    assert path.read_text() == "after\n"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_file_from_before(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "before")
    with pytest.raises(RuntimeError), writing(path) as temporary:  # noqa: PT012  # the error comes after the writing
        temporary.write_text("half")
        raise RuntimeError
    assert [each.read_text() for each in tmp_path.iterdir()] == ["before"]


def test_a_symbolic_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "elsewhere" / "a.txt", tmp_path / "link.txt"
    target.parent.mkdir()
    link.symlink_to(target)
    for text in ("first", "second"):
        write_text(link, text)
        assert link.is_symlink()
        assert target.read_text() == text


@pytest.mark.parametrize("kind", ["folder", "device", "fifo"])
def test_nothing_but_a_file_is_replaced(tmp_path: Path, kind: str) -> None:
    path = {"folder": tmp_path, "device": Path(os.devnull), "fifo": tmp_path / "fifo"}[kind]
    if kind == "fifo":
        os.mkfifo(path)
    with pytest.raises(UserError, match=r"must be a file that can be replaced, got a (folder|device)"):
        write_text(path, "text")
