"""Disks that are full, read-only or no place for files: one sentence, before the work where it can be known."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import save_file
from small_disk import enlarge, mounted
from small_log import ITEMS, SMALL, of_table, write_log

from seasonrec.atomic import write_text, writing
from seasonrec.cli.main import main
from seasonrec.data.cache import write_folder
from seasonrec.disk import PREFIX, WriteError, check_folder, reason_of
from seasonrec.errors import UserError
from seasonrec.report.style import figure, save

FULL = OSError(errno.ENOSPC, "No space left on device")


def _with_torch(path: Path) -> None:
    torch.save(torch.zeros(100_000), path)


def _with_safetensors(path: Path) -> None:
    save_file({"a": torch.zeros(100_000)}, path)


def _with_numpy(path: Path) -> None:
    with path.open("wb") as file:
        np.zeros(100_000).tofile(file)


def _with_polars(path: Path) -> None:
    pl.DataFrame({"a": np.random.default_rng(0).random(100_000)}).write_parquet(path)


def _as_csv(path: Path) -> None:
    pl.DataFrame({"a": np.random.default_rng(0).random(100_000)}).write_csv(path)


def _as_text(path: Path) -> None:
    path.write_text("x" * 1_000_000)


@pytest.mark.parametrize("write", [_with_torch, _with_safetensors, _with_numpy, _with_polars, _as_csv, _as_text])
def test_a_full_disk_is_one_sentence_whoever_writes(tmp_path: Path, write: Callable[[Path], None]) -> None:
    with mounted(tmp_path / "full", "size=96k") as disk:
        write_text(disk / "file", "before")
        with pytest.raises(WriteError, match=r"file could not be written \(No space left .*\); .* stays: free some"):  # noqa: SIM117
            with writing(disk / "file") as temporary:
                write(temporary)
        assert [(path.name, path.read_text()) for path in disk.iterdir()] == [("file", "before")]


def test_a_figure_on_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    with mounted(tmp_path / "full", "size=16k") as disk, figure(4.0, 3.0) as made:
        made.subplots().plot(np.random.default_rng(0).random(2_000))
        with pytest.raises(WriteError, match=r"weeks\.png could not be written \(No space"):
            save(made, disk / "weeks")
        assert not list(disk.iterdir())


def test_a_disk_without_a_free_inode_is_one_sentence(tmp_path: Path) -> None:
    with mounted(tmp_path / "full", "size=1m,nr_inodes=3") as disk:
        write_text(disk / "file", "before")
        (disk / "last").touch()
        with pytest.raises(WriteError, match=r"file could not be written \(No space left on device\)"):
            write_text(disk / "file", "after")
        with pytest.raises(UserError, match=r"run_dir must be a place that can be written to, got .* \(No space"):
            check_folder(disk / "new", "run_dir")
        assert sorted(path.name for path in disk.iterdir()) == ["file", "last"]


def test_a_cache_on_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    def fill(folder: Path) -> dict[str, Any]:
        np.save(folder / "a.npy", np.zeros(100_000))
        return {}

    with mounted(tmp_path / "full", "size=96k") as disk:
        with pytest.raises(WriteError, match=r"log could not be written \(No space left on device\)"):
            write_folder(disk / "log", fill)
        assert not list(disk.iterdir())


def test_a_read_only_disk_is_found_before_the_work(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=96k,ro") as disk:
        for folder in (disk, disk / "new" / "one"):
            with pytest.raises(UserError, match=r"output must be a place .*Read-only file system\); give another"):
                check_folder(folder, "output")
        with pytest.raises(WriteError, match=r"Read-only .* make the place writable, or choose another"):
            write_text(disk / "file", "text")


def test_a_place_that_is_none_is_found_and_a_place_that_is_one_stays_empty(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "run" / "metrics.json").mkdir(parents=True)
    with pytest.raises(UserError, match=r"output must be a place .*file is a file\); give another"):
        check_folder(tmp_path / "file" / "run", "output")
    with pytest.raises(UserError, match=r"metrics\.json must be a file that can be replaced; remove it"):
        check_folder(tmp_path / "run", "output", ("metrics.json",))
    if sys.platform == "linux":
        with pytest.raises(UserError, match=r"got /proc/run \("):
            check_folder(Path("/proc/run"), "run_dir")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("new", "link", "run"):
        check_folder(tmp_path / name / "inside", "output")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link", "run"]


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (FULL, errno.ENOSPC),
        (RuntimeError("Error while serializing: I/O error (os error 28)"), errno.ENOSPC),
        (PermissionError(errno.EACCES, "denied"), errno.EACCES),
        (FileNotFoundError(errno.ENOENT, "a mistake of the program"), None),
        (RuntimeError("shapes differ"), None),
    ],
)
def test_reasons_are_found_in_what_libraries_raise(tmp_path: Path, error: Exception, number: int | None) -> None:
    assert reason_of(error, tmp_path) == number
    wrapped = ValueError("inconsistent stream state")
    wrapped.__context__ = error
    assert reason_of(wrapped, tmp_path) == number


def test_a_library_without_a_reason_on_a_full_disk_gets_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "statvfs", lambda folder: SimpleNamespace(f_bavail=0, f_frsize=4096, f_files=9, f_favail=9))
    assert reason_of(RuntimeError("unexpected pos 576 vs 534"), tmp_path) == errno.ENOSPC
    assert reason_of(OSError("100000 requested and 16352 written"), tmp_path) == errno.ENOSPC
    assert reason_of(TypeError("a mistake of the program"), tmp_path) is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_to_a_full_disk_is_one_sentence() -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "seasonrec.cli", "--help"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "seasonrec --help: a file could not be written (No space left on device); what was written before stays: free "
        "some space, and run the command again.\n"
    )


@pytest.mark.parametrize(
    ("command", "key"),
    [
        (("train", *SMALL, "data=synthetic", "run_dir=PLACE"), "run_dir"),
        (("baselines", "data=synthetic", "run_dir=PLACE"), "run_dir"),
        (("forecast", "data=synthetic", "run_dir=PLACE"), "run_dir"),
        (("evaluate", "checkpoint=run", "output=PLACE"), "output"),
        (("robustness", "checkpoint=run", "output=PLACE"), "output"),
        (("counterfactual", "checkpoint=run", "output=PLACE"), "output"),
        (("adapt", "checkpoint=run", "output=PLACE"), "output"),
        (("recommend", "checkpoint=run", "users=all", "date=2017-12-20", "output=PLACE/lists.csv"), "output"),
        (("report", "PLACE"), "the folder of the study"),
    ],
    ids=lambda given: given[0] if isinstance(given, tuple) else "",
)
def test_every_command_finds_out_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...], key: str
) -> None:
    place = Path("/proc/seasonrec") if sys.platform == "linux" else tmp_path / "file" / "inside"
    (tmp_path / "file").touch()
    assert main([word.replace("PLACE", str(place)) for word in command]) == 2
    printed = capsys.readouterr()
    assert printed.out == "", "nothing was opened"
    assert key in printed.err
    assert str(place.parent) in printed.err
    assert "Traceback" not in printed.err


def test_a_training_on_a_full_disk_loses_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Trains where the checkpoints find no room, then with more room, to the results of a training left alone."""
    write_log(tmp_path)
    alone = tmp_path / "alone"
    assert main(of_table(tmp_path, alone)) == 0
    needed = sum(path.stat().st_size for path in (alone / "stages").rglob("*") if path.is_file())
    with mounted(tmp_path / "disk", f"size={needed // 2 // 4096 * 4}k") as disk:
        again = of_table(tmp_path, disk / "run")
        capsys.readouterr()
        assert main(again) == 1
        error = capsys.readouterr().err
        assert "could not be written (No space left on device); what was written before stays: free" in error
        assert error.count("\n") == 1
        assert not list(disk.rglob(f"{PREFIX}*"))
        enlarge(disk, "16m")
        assert main(again) == 0
        for name in ("model.safetensors", "results.parquet"):
            assert (disk / "run" / name).read_bytes() == (alone / name).read_bytes()
        metrics = [json.loads((folder / "metrics.json").read_text()) for folder in (alone, disk / "run")]
        assert metrics[0] == metrics[1]
        shutil.rmtree(disk / "run")


def test_what_goes_wrong_in_the_counters_loses_nothing_of_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_log(tmp_path)

    def fail(*given: object) -> None:
        raise MemoryError

    monkeypatch.setattr("seasonrec.commands.train.evaluate_baselines", fail)
    with pytest.raises(MemoryError):
        main(of_table(tmp_path, tmp_path / "run", "baselines=true"))
    assert main(["evaluate", f"checkpoint={tmp_path / 'run'}", f"output={tmp_path / 'again'}"]) == 0
    results, items = (pl.read_parquet(tmp_path / "run" / f"{name}.parquet") for name in ("results", "items"))
    lists = results.select("user_id", "request_time_s", "top_items").explode("top_items")
    lists = lists.join(items, left_on="top_items", right_on="item", maintain_order="left")
    assert len(lists) == results["top_items"].list.len().sum(), "results are read without the log"
    assert set(lists["item_id"]) <= set(ITEMS)
    kept, again = ((tmp_path / name / "metrics.json").read_text() for name in ("run", "again"))
    assert json.loads(kept) == json.loads(again)
