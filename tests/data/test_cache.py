"""Folders of the cache: written completely or not at all, checked at opening, one writer at a time."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from seasonrec.data.cache import (
    CacheError,
    content_key,
    default_cache_dir,
    folder_lock,
    read_manifest,
    write_folder,
)


def _write(text: str):
    def write(folder: Path) -> dict[str, object]:
        (folder / "a.txt").write_text(text)
        return {"said": text}

    return write


def test_a_written_folder_reads_back_its_facts(tmp_path):
    write_folder(tmp_path / "x", _write("hello"))
    assert read_manifest(tmp_path / "x") == {"said": "hello"}
    assert [path.name for path in tmp_path.iterdir()] == ["x"]  # nothing temporary remains


def test_a_folder_is_replaced_while_an_old_reader_keeps_its_file(tmp_path):
    write_folder(tmp_path / "x", _write("old"))
    with (tmp_path / "x" / "a.txt").open() as reader:
        write_folder(tmp_path / "x", _write("new"))
        assert reader.read() == "old"
    assert read_manifest(tmp_path / "x") == {"said": "new"}


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    def fail(folder: Path) -> dict[str, object]:
        (folder / "a.txt").write_text("half")
        raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError, match="out of luck"):
        write_folder(tmp_path / "x", fail)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "a.txt").write_text("hellO"), "other content"),
        (lambda folder: (folder / "a.txt").write_text("hell"), "has 4 bytes, its manifest has 5"),
        (lambda folder: (folder / "a.txt").unlink(), "is missing"),
        (lambda folder: (folder / "manifest.json").unlink(), "cannot be read"),
        (lambda folder: (folder / "manifest.json").write_text('{"files"'), "cannot be read"),
    ],
)
def test_damage_is_named(tmp_path, damage, message):
    write_folder(tmp_path / "x", _write("hello"))
    damage(tmp_path / "x")
    with pytest.raises(CacheError, match=message):
        read_manifest(tmp_path / "x")


def test_the_lock_makes_a_second_holder_wait_and_tell(tmp_path):
    told, order = threading.Event(), []

    def second() -> None:
        with folder_lock(tmp_path / "x", waiting=told.set):
            order.append("second")

    with folder_lock(tmp_path / "x"):
        thread = threading.Thread(target=second)
        thread.start()
        assert told.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_a_killed_writer_leaves_no_lock_and_its_leftovers_are_removed(tmp_path):
    program = (
        "import pathlib, sys, time\n"
        "from seasonrec.data.cache import folder_lock, write_folder\n"
        "def write(folder):\n"
        "    (folder / 'a.txt').write_text('half'); print('writing', flush=True); time.sleep(60)\n"
        "target = pathlib.Path(sys.argv[1])\n"
        "with folder_lock(target): write_folder(target, write)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "x")], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"writing\n"
    writer.kill()
    writer.wait(10)
    writer.stdout.close()
    assert len(list(tmp_path.glob(".x.tmp-*"))) == 1
    assert not (tmp_path / "x").exists()
    with folder_lock(tmp_path / "x"):
        assert list(tmp_path.glob(".x.tmp-*")) == []


def test_a_place_that_cannot_be_written_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(CacheError, match="cache_dir must be a folder that can be written to"),
        folder_lock(tmp_path / "file" / "x"),
    ):
        pass


def test_keys_follow_content_and_not_order():
    assert content_key({"a": 1, "b": [2]}) == content_key({"b": [2], "a": 1})
    assert content_key({"a": 1}) != content_key({"a": 2})


def test_default_cache_dir(monkeypatch):
    monkeypatch.setenv("SEASONREC_CACHE", "~/somewhere")
    assert default_cache_dir() == Path(os.path.expanduser("~/somewhere"))  # noqa: PTH111
    monkeypatch.delenv("SEASONREC_CACHE")
    assert default_cache_dir() == Path.home() / ".cache" / "seasonrec"
