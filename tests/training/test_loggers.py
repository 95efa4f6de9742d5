"""What a tracker keeps of a run, read back from the files that it wrote."""

from __future__ import annotations

import csv
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_log import of_table, write_log
from wandb.proto import wandb_internal_pb2

from seasonrec.cli.main import main

BLOCK_BYTES = 32_768
FILE_HEADER_BYTES, RECORD_HEADER_BYTES = 7, 7
FULL, LAST = 1, 4


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    write_log(folder)
    return folder


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def _records(path: Path) -> Iterator[Any]:
    """The records of an offline run: protobuf in a log of LevelDB's format, whose blocks may cut a record."""
    content = path.read_bytes()
    position, parts = FILE_HEADER_BYTES, b""
    while position + RECORD_HEADER_BYTES <= len(content):
        left = BLOCK_BYTES - position % BLOCK_BYTES
        if left < RECORD_HEADER_BYTES:
            position += left
            continue
        length, kind = struct.unpack("<HB", content[position + 4 : position + RECORD_HEADER_BYTES])
        parts += content[position + RECORD_HEADER_BYTES : position + RECORD_HEADER_BYTES + length]
        position += RECORD_HEADER_BYTES + length
        if kind in (FULL, LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


def _items(updates: Any) -> dict[str, Any]:
    """Keys and values of a record's updates; a nested key is joined by dots."""
    return {update.key or ".".join(update.nested_key): json.loads(update.value_json) for update in updates}


def test_an_offline_run_of_wandb_holds_config_group_slices_and_table(files: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    assert main(of_table(files, run_dir, "logger=wandb", "group=first_season", "name=no_text", "seed=3")) == 0
    metrics = json.loads((run_dir / "metrics.json").read_text())
    (path,) = run_dir.glob("wandb/offline-run-*/*.wandb")
    records = list(_records(path))
    (started, *_) = (record.run for record in records if record.HasField("run"))
    assert (started.project, started.run_group, started.display_name) == ("seasonrec", "first_season", "no_text-seed3")
    config = _items(started.config.update)
    assert config["fingerprint"] == metrics["fingerprint"]
    assert config["season"]["_target_"].endswith("MomentumSeason")
    assert config["seed"] == 3
    logged: dict[str, Any] = {}
    for record in records:
        logged |= _items(record.history.item) if record.HasField("history") else {}
    for name, values in metrics["slices"].items():
        for metric, value in values.items():
            assert logged[f"test/{name}/{metric}"] == pytest.approx(value)
    assert {"val/bits", "val/ndcg@10"} <= logged.keys()
    table = json.loads((path.parent / "files" / logged["slices.path"]).read_text())
    rows = {row[0]: dict(zip(table["columns"], row, strict=True)) for row in table["data"]}
    assert rows.keys() == metrics["slices"].keys()
    assert rows["all"]["ndcg@10"] == pytest.approx(metrics["slices"]["all"]["ndcg@10"])


def test_a_run_that_is_started_again_stays_one_run_of_the_tracker(files: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert main(of_table(files, tmp_path / "run", "logger=wandb")) == 0
    ids = {path.stem for path in tmp_path.glob("run/wandb/offline-run-*/*.wandb")}
    assert ids == {f"run-{(tmp_path / 'run' / 'wandb_id').read_text()}"}


def test_wandb_online_without_a_key_is_refused_before_training(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(of_table(files, tmp_path / "run", "logger=wandb", "logger.mode=online")) == 2
    error = capsys.readouterr().err
    assert "logger.mode=online needs a Weights & Biases key, found none; run `wandb login`" in error
    assert "Traceback" not in error
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_csv_keeps_the_curves(files: Path, tmp_path: Path) -> None:
    assert main(of_table(files, tmp_path / "run", "logger=csv", "trainer.max_epochs=2")) == 0
    with (tmp_path / "run" / "curves" / "metrics.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    validations = [row for row in rows if row["val/bits"]]
    assert [row["epoch"] for row in validations] == ["0", "1"]
    assert all(0 < float(row["val/bits"]) < 20 and 0 <= float(row["val/ndcg@10"]) <= 1 for row in validations)


def test_csv_of_a_run_that_goes_on_leaves_the_curves_before(files: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert main(of_table(files, tmp_path / "run", "logger=csv")) == 0
    assert "val/bits" in (tmp_path / "run" / "curves" / "metrics.csv").read_text(encoding="utf-8")


def test_tensorboard_keeps_the_curves(files: Path, tmp_path: Path) -> None:
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    assert main(of_table(files, tmp_path / "run", "logger=tensorboard", "trainer.max_epochs=2")) == 0
    read = accumulators.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    read.Reload()
    assert {"val/bits", "val/ndcg@10", "test/all/bits"} <= set(read.Tags()["scalars"])
    assert len(read.Scalars("val/bits")) == 2
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert read.Scalars("test/all/bits")[0].value == pytest.approx(metrics["slices"]["all"]["bits"])
