"""Tests of atomic writing: a file is complete or unchanged, and only a regular file is replaced."""

import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from platform import node
from zlib import crc32

import pytest

from seasonrec.atomic import LEFTOVER_S, PREFIX, write_text, writing
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


def test_no_link_leads_the_writing_elsewhere(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    for name in (".last.ckpt.tmp", f".last.ckpt.{os.getpid()}", ".last.ckpt"):
        (tmp_path / name).symlink_to(victim)
    with writing(tmp_path / "last.ckpt") as temporary:
        assert stat.S_IMODE(temporary.parent.stat().st_mode) == 0o700
        assert temporary.parent.parent == tmp_path
        temporary.write_text("new")
    assert victim.read_text() == "mine"
    assert (tmp_path / "last.ckpt").read_text() == "new"


def test_two_writings_have_two_names(tmp_path: Path) -> None:
    with writing(tmp_path / "a") as first, writing(tmp_path / "a") as second:
        assert first.parent != second.parent
        first.write_text("1")
        second.write_text("2")
    assert (tmp_path / "a").read_text() == "1"


def test_a_file_has_the_mode_of_the_umask_whoever_writes_it(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with writing(tmp_path / "a") as temporary:
            temporary.write_text("text")
            temporary.chmod(0o600)  # as the writer of safetensors leaves it
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_what_a_kill_has_left_is_removed_and_what_a_process_writes_is_not(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-S", "-c", ""])
    ended.wait()
    here, old = f"{PREFIX}{crc32(node().encode()):08x}", time.time() - 2 * LEFTOVER_S
    left = [tmp_path / name for name in (f"{here}-{ended.pid}-a", f"{PREFIX}00000000-1-a")]
    kept = [tmp_path / name for name in (f"{here}-{os.getppid()}-a", f"{PREFIX}00000000-1-b")]
    for folder in (*left, *kept):
        folder.mkdir()
        (folder / "half").touch()
    os.utime(left[1], (old, old))
    write_text(tmp_path / "a", "text")
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "a", *kept])
