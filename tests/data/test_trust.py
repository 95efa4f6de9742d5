"""A cache that another user may change: its digest is computed from its bytes, or it is not used."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest
import torch

from seasonrec.data import trust
from seasonrec.data.cache import MANIFEST, file_sha256, read_manifest
from seasonrec.data.datasets.synthetic import Synthetic
from seasonrec.data.events import open_log, prepare
from seasonrec.models.language.text_vectors import TextReader

DATA = Synthetic(num_users=6, num_items=12, num_days=40)
OTHERS = {"owner": lambda path: os.chown(path, 12345, 12345), "mode": lambda path: path.chmod(0o666)}


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    return prepare(DATA, tmp_path, lambda line: None).folder


def poison(folder: Path) -> None:
    """Changes an array together with the manifest, and leaves the digest of the fingerprint as it was."""
    items = np.load(folder / "event_items.npy")
    np.save(folder / "event_items.npy", items[::-1].copy())
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"]["event_items.npy"]["sha256"] = file_sha256(folder / "event_items.npy")
    del manifest["sha256"]
    (folder / MANIFEST).write_text(json.dumps(manifest))
    read_manifest(folder)  # agrees with its files


def give_away(path: Path, how: str) -> None:
    try:
        OTHERS[how](path)
    except PermissionError:
        pytest.skip("only root can give a file to another user")


@pytest.mark.parametrize("how", OTHERS)
def test_a_poisoned_log_of_others_is_made_again(prepared: Path, how: str) -> None:
    right = open_log(prepared)
    items = right.event_items.tolist()
    poison(prepared)
    give_away(prepared / "event_items.npy", how)
    lines: list[str] = []
    log = prepare(DATA, prepared.parents[1], lines.append)
    assert any("its manifest says" in line for line in lines)
    assert (log.digest, log.event_items.tolist()) == (right.digest, items)


def test_verify_computes_the_digest_of_ones_own_log(prepared: Path) -> None:
    poison(prepared)
    assert prepare(DATA, prepared.parents[1], lambda line: None).folder == prepared  # only as much as its manifest
    lines: list[str] = []
    prepare(DATA, prepared.parents[1], lines.append, verify=True)
    assert any("is damaged and made again" in line for line in lines)
    open_log(prepared, verify=True)


def test_an_honest_log_of_another_user_is_used(prepared: Path) -> None:
    for path in (prepared, *prepared.iterdir()):
        give_away(path, "owner")
    lines: list[str] = []
    assert prepare(DATA, prepared.parents[1], lines.append).folder == prepared
    assert not any("preparing" in line for line in lines)


@pytest.mark.parametrize("change", [{"timezone": "Asia/Tokyo"}, {"digest": "0" * 64}])
def test_changed_facts_of_a_manifest_are_told(prepared: Path, change: dict[str, str]) -> None:
    manifest = json.loads((prepared / MANIFEST).read_text())
    manifest["facts"] |= change
    (prepared / MANIFEST).write_text(json.dumps(manifest))
    lines: list[str] = []
    prepare(DATA, prepared.parents[1], lines.append)
    assert any("differs from its own digest" in line for line in lines)


def test_an_array_without_an_entry_is_told(prepared: Path) -> None:
    manifest = json.loads((prepared / MANIFEST).read_text())
    del manifest["files"]["items.parquet"], manifest["sha256"]
    (prepared / MANIFEST).write_text(json.dumps(manifest))
    lines: list[str] = []
    prepare(DATA, prepared.parents[1], lines.append)
    assert any("items.parquet has no entry in manifest.json" in line for line in lines)


@pytest.mark.parametrize("how", OTHERS)
def test_vectors_of_others_are_computed_again_into_a_file_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(TextReader, "_key", lambda self, texts: "key")
    monkeypatch.setattr(TextReader, "_compute", lambda self, texts: torch.eye(len(texts)))
    reader = TextReader("stub", tmp_path)
    reader(["a", "b"], lambda line: None)
    path = tmp_path / "text" / "key.safetensors"
    umask = os.umask(0o022)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    give_away(path, how)
    lines: list[str] = []
    assert torch.equal(reader(["a", "b"], lines.append), torch.eye(2))
    assert lines == ["reading 2 texts with stub"]
    assert (tmp_path / "text" / f"key-{os.geteuid()}.safetensors").is_file()
    assert torch.equal(reader(["a", "b"], pytest.fail), torch.eye(2))


def test_a_group_of_ones_own_is_no_other_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "a").chmod(0o664)
    for is_private in (True, False):
        monkeypatch.setattr(trust, "_is_private", lambda group, is_private=is_private: is_private)
        assert trust.is_own(tmp_path / "a") is is_private
