"""What this machine lacks is told at once, before anything is read."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from seasonrec.config import machine
from seasonrec.config.machine import machine_mistakes

ELSEWHERE = "give a path below a folder that you may write to"


def _told(config: dict[str, Any]) -> list[str]:
    return [str(mistake) for mistake in machine_mistakes(config)]


def test_files_zone_and_country_are_told_together(tmp_path: Path) -> None:
    there = tmp_path / "e (1).csv"
    there.touch()
    data = {"events": str(there), "items": "nowhere.csv", "timezone": "Mars/Base", "country": "ZZ"}
    here = f"(the working folder is {Path.cwd()})"
    found = _told({"data": data, "domain": {"flickr": {"data": {"path": str(tmp_path / "none.parquet")}}}})
    assert found == [
        f"data.items = nowhere.csv: must name a file that exists {here}; give the path of a file",
        "data.timezone = Mars/Base: is no time zone; write for example Europe/London or UTC",
        "data.country = ZZ: is no ISO 3166 code that the holidays package knows; write for example US, or null for no "
        "holidays",
        f"domain.flickr.data.path = {tmp_path / 'none.parquet'}: must name a file that exists {here}; give the path of "
        "a file",
    ]


def test_a_published_file_is_told_with_its_page() -> None:
    data = {"_target_": "seasonrec.data.datasets.online_retail_ii.OnlineRetailII", "path": "nowhere.xlsx"}
    (told,) = _told({"data": data})
    assert told.endswith("; download it from https://doi.org/10.24432/C5CG6D, or give the path of a copy")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert _told({"run_dir": str(tmp_path / "new" / "run"), "output": str(file)}) == []
    assert _told({"run_dir": str(file / "run")})[0].endswith(
        f"{file} is a file; give a path below a folder that you may write to"
    )
    assert "is too long for this file system" in _told({"run_dir": str(tmp_path / ("x" * 300))})[0]
    assert "is too long for this file system" in _told({"cache_dir": str(tmp_path / "/".join(["xy"] * 2000))})[0]


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found out by writing: the bits of a mode do not bind root, and a file system may be read-only."""
    assert _told({"run_dir": str(tmp_path / "run")}) == []
    assert list(tmp_path.iterdir()) == []

    def refuse(place: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(machine, "try_writing", refuse)
    problem = f"{tmp_path} cannot be written ({os.strerror(errno.EROFS)}); {ELSEWHERE}"
    assert problem in _told({"run_dir": str(tmp_path / "run")})[0]


def test_processes_on_few_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_cores", lambda: 2)
    assert _told({"trainer": {"devices": 8, "accelerator": "cpu"}}) == []
    assert _told({"trainer": {"devices": 9999, "accelerator": "gpu"}}) == [], "the GPUs are counted with torch"
    assert _told({"trainer": {"devices": 9}}) == [
        "trainer.devices = 9: starts 9 processes on the CPU, which has 2 cores here; write at most 8"
    ]


def test_weights_that_do_not_fit_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two layers of width 1,024 have 12 * 2 * 1024**2 weights of 16 bytes: 384 MiB."""
    backbone = {"_target_": "seasonrec.models.backbone.sasrec.SASRec", "num_layers": 2}
    monkeypatch.setattr(machine, "memory_bytes", lambda: 384 * 2**20)
    assert _told({"embedding_dim": 1024, "backbone": backbone}) == []
    monkeypatch.setattr(machine, "memory_bytes", lambda: 384 * 2**20 - 1)
    assert (
        "embedding_dim = 1024: the weights of backbone with 2 layers need about"
        in _told({"embedding_dim": 1024, "backbone": backbone})[0]
    )


def test_holidays_of_no_country() -> None:
    names = ["Christmas", "Halloween", "Chrismas Day", "xmasday"]
    found = _told({"protocol": {"holidays": names}, "season": {"calendar": {"major": ["Easter"]}}})
    assert found == [
        "protocol.holidays = Chrismas Day: is a holiday of no country; did you mean 'Christmas Day'?; days of your own "
        "stand in data.calendar",
        "protocol.holidays = xmasday: is a holiday of no country; write an English name, for example Christmas Day; "
        "days of your own stand in data.calendar",
    ]
    assert _told({"protocol": {"holidays": ["Our fair"]}, "data": {"calendar": __file__}}) == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "config.json was not found; give the folder of a model of the library transformers"),
        ("{", "config.json is no JSON; download the model again"),
        ("[]", "config.json names no model_type; give the folder of a model"),
        (json.dumps({"model_type": "bert"}), None),
    ],
)
def test_a_model_folder_is_read_before_anything(tmp_path: Path, content: str | None, problem: str | None) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    found = _told({"item_encoder": {"reader": str(tmp_path)}})
    assert (found == []) if problem is None else problem in found[0]


def test_a_name_of_the_hub_without_a_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seasonrec.config.known_names.getproxies", dict)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    config = {"backbone": {"name": "owner/model"}, "season": {"text": {"reader": "minilm"}}, "name": "owner/x"}
    assert _told(config) == [
        "backbone.name = owner/model: is not in the cache, and the Hugging Face hub does not answer; choose minilm, or "
        "give a folder"
    ]
    kept = tmp_path / "models--owner--model" / "snapshots" / "1"
    kept.mkdir(parents=True)
    (kept / "config.json").touch()
    assert _told(config) == []
    assert "is neither a folder nor a name of the hub" in _told({"item_encoder": {"reader": "a b"}})[0]
    assert "did you mean 'minilm'?" in _told({"item_encoder": {"reader": "miniml"}})[0]
