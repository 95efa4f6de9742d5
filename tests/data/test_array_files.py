"""Arrays and digests that are made in pieces."""

import hashlib
import json

import numpy as np
import polars as pl
import pytest

from seasonrec.data.preparation import digest
from seasonrec.data.preparation.array_files import ArrayFile
from seasonrec.data.preparation.digest import content_digest, folder_digest
from seasonrec.data.preparation.spool import Spool


@pytest.mark.parametrize("pieces", [[], [0], [3, 0, 5], [200_000, 1]])
def test_a_growing_file_is_what_numpy_would_save(tmp_path, pieces):
    file = ArrayFile(tmp_path / "grown.npy", np.int32)
    parts = [np.arange(size, dtype=np.int64) for size in pieces]
    for part in parts:
        file.append(part)
    file.close()
    whole = np.concatenate([np.zeros(0, np.int64), *parts]).astype(np.int32)
    np.save(tmp_path / "saved.npy", whole)
    assert (tmp_path / "grown.npy").read_bytes() == (tmp_path / "saved.npy").read_bytes()
    assert file.spec() == {"dtype": "int32", "shape": [len(whole)]}


def test_the_digest_is_the_same_in_memory_and_from_files_and_as_it_is_defined(tmp_path, monkeypatch):
    monkeypatch.setattr(digest, "_ROWS_AT_ONCE", 2)
    arrays = {"b": np.arange(5, dtype=np.int32), "a": np.array([1.5, np.nan], np.float32)}
    items = pl.DataFrame({"item_id": ["é", 'x"', "z"], "text": [None, "t", ""], "category": ["c", None, None]})
    users = pl.DataFrame({"user_id": ["u", "v"], "age": [1, 2]})
    wanted = hashlib.sha256()
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", arrays[name])
        wanted.update(f"{name}:{arrays[name].dtype.str}:{arrays[name].shape};".encode() + arrays[name].tobytes())
    for frame in (items, users.select("user_id")):
        wanted.update(json.dumps(frame.to_dict(as_series=False), sort_keys=True).encode())
    specs = {name: {"dtype": str(array.dtype), "shape": list(array.shape)} for name, array in arrays.items()}
    assert content_digest(arrays, items, users) == wanted.hexdigest()
    assert folder_digest(tmp_path, specs, items, users) == wanted.hexdigest()


@pytest.mark.parametrize("memory_rows", [0, 4, 100])
def test_a_spool_gives_back_its_blocks_in_order(tmp_path, memory_rows):
    spool = Spool((np.int32, np.float64), tmp_path / "rows", memory_rows)
    for low in (0, 3, 6):
        spool.append(np.arange(low, low + 3), np.arange(low, low + 3) / 2)
    assert (tmp_path / "rows").exists() == (memory_rows < 9)
    for _ in range(2):
        assert [block[0].tolist() for block in spool.blocks()] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    whole = spool.take()
    assert whole[1].tolist() == [row / 2 for row in range(9)]
    assert [column.dtype for column in whole] == [np.int32, np.float64]
    assert spool.rows == 0
    assert list(tmp_path.iterdir()) == []
