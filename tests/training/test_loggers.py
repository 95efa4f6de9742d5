"""The files that trackers write of a run."""

from __future__ import annotations

import csv
import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from small_log import of_table, write_log
from wandb.proto import wandb_internal_pb2

from seasonrec.cli.main import main
from seasonrec.evaluation.slices.masks import OUTCOME_SLICES
from seasonrec.training.logger import STEPS_APART, SUMMARY, RunIdentity, WandbLog, log_results

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
    """Yields the records of an offline run: protobuf in a log of LevelDB's format, whose blocks may cut a record."""
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
    """Returns keys and values of a record's updates; a nested key is joined by dots."""
    return {update.key or ".".join(update.nested_key): json.loads(update.value_json) for update in updates}


def _records_of(run_dir: Path) -> tuple[Path, list[Any]]:
    """Returns the file of a finished run and its records, the last of which the tracker's process writes later."""
    (path,) = run_dir.glob("wandb/offline-run-*/*.wandb")
    for _ in range(600):
        records = list(_records(path))
        if any(record.HasField("exit") for record in records):
            return path, records
        time.sleep(0.1)
    raise AssertionError(f"{path} has no record of the run's end")


def _summary(records: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for record in records:
        found |= _items(record.summary.update) if record.HasField("summary") else {}
    return found


def _table(path: Path, place: str) -> dict[str, dict[str, Any]]:
    table = json.loads((path.parent / "files" / place).read_text())
    return {row[0]: dict(zip(table["columns"], row, strict=True)) for row in table["data"]}


def test_an_offline_run_of_wandb_holds_config_group_curves_summary_and_table(
    files: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run_dir = tmp_path / "run"
    assert (
        main(of_table(files, run_dir, "logger=wandb", "group=first_season", "name=no_text", "seed=3", "baselines=true"))
        == 0
    )
    assert "anonymous" not in "".join(capfd.readouterr())
    metrics = json.loads((run_dir / "metrics.json").read_text())
    path, records = _records_of(run_dir)
    (started, *_) = (record.run for record in records if record.HasField("run"))
    identity = started.project, started.run_group, started.display_name
    assert identity == ("seasonrec", "first_season", "no_text-seed3-run")
    config = _items(started.config.update)
    assert config["fingerprint"] == metrics["fingerprint"]
    assert config["season"]["momentum"]["_target_"].endswith("MomentumSeason")
    assert config["seed"] == 3
    assert config["cut_dates"].keys() <= json.loads((run_dir / "record.json").read_text())["cut_dates"].keys()
    history = [_items(record.history.item) for record in records if record.HasField("history")]
    logged = {name: value for values in history for name, value in values.items()}
    assert {"train/next_item", "val/bits", "val/ndcg@10", "learning_rate"} <= logged.keys()
    assert not any(name.startswith("test/") for name in logged)
    assert "figure_weeks" in {name.partition(".")[0] for name in logged}
    assert "personal_recent" in _table(path, logged["baselines.path"])
    every = metrics["slices"]["all"]
    summary = _summary(records)
    assert {f"test/{name}" for name in SUMMARY} == {name for name in summary if name.startswith("test/")}
    assert all(summary[f"test/{name}"] == pytest.approx(every[name]) for name in SUMMARY)
    assert len([name for name in summary if not name.startswith("_")]) <= 12
    rows = _table(path, logged["slices.path"])
    shown = {name: values for name, values in metrics["slices"].items() if name not in OUTCOME_SLICES}
    assert rows.keys() == shown.keys()
    for name, values in shown.items():
        assert {metric: rows[name][metric] for metric in values} == pytest.approx(values)


def test_wandb_holds_cut_dates_baselines_and_figures(tmp_path: Path) -> None:
    dates = {"test_from": "2017-11-23"}
    figure = tmp_path / "weeks.png"
    Image.new("RGB", (2, 2)).save(figure)
    logger = WandbLog().open(RunIdentity("full", None, tmp_path / "run", {"seed": 1}, "0" * 16, dates))
    assert logger is not None
    for step in range(30):
        logger.log_metrics({"train/next_item": 1.0, "val/bits": float(step)}, step)
    log_results(logger, {"all": {"bits": 8.0, "mrr": 0.2}}, {"popularity": {"bits": 9.0}}, [figure])
    path, records = _records_of(tmp_path / "run")
    (started, *_) = (record.run for record in records if record.HasField("run"))
    assert _items(started.config.update)["cut_dates"] == dates
    history = [_items(record.history.item) for record in records if record.HasField("history")]
    logged = {name: value for values in history for name, value in values.items()}
    rows = _table(path, logged["baselines.path"])
    assert rows == {
        "popularity": {"row": "popularity", "bits": 9.0, "mrr": None},
        "this run": {"row": "this run", "bits": 8.0, "mrr": 0.2},
    }
    assert any(name.startswith("weeks") for name in logged)
    summary = {name: value for name, value in _summary(records).items() if name.startswith(("test/", "train/", "val/"))}
    assert summary == {"test/bits": 8.0, "test/mrr": 0.2, "val/bits": {"min": 0.0}}


@pytest.mark.parametrize(
    ("run_dir", "label"),
    [
        ("runs/full", "full-seed2"),
        ("study/cells/full/seed_2", "full-seed2"),
        ("runs/multirun/11", "full-seed2-11"),
    ],
)
def test_labels_tell_runs_apart(run_dir: str, label: str) -> None:
    assert RunIdentity("full", None, Path(run_dir), {"seed": 2}, "").label == label


def test_a_run_that_is_started_again_stays_one_run_of_the_tracker(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Joins two starts by rising steps; a start that was killed before its first record is removed."""
    run_dir, folders = tmp_path / "run", []
    for _ in range(2):
        assert main(of_table(files, run_dir, "logger=wandb")) == 0
        folders += [path for path in run_dir.glob("wandb/offline-run-*") if path not in folders]
        empty = run_dir / "wandb" / "offline-run-20170101_000000-killed" / "run-killed.wandb"
        if len(folders) == 1:
            _records_of(run_dir)
            empty.parent.mkdir()
            empty.write_bytes(bytes(7))
    assert not empty.parent.exists()
    first, second = sorted(run_dir.glob("wandb/offline-run-*/*.wandb"))
    assert {first.stem, second.stem} == {f"run-{(run_dir / 'wandb_id').read_text()}"}
    note = f"note: WANDB_RESUME=allow wandb sync {run_dir}/wandb/offline-run-* joins the 2 starts of this run"
    assert capsys.readouterr().out.count(note) == 1
    steps = [
        [record.history.step.num for record in _records(path) if record.HasField("history")] for path in (first, second)
    ]
    assert steps[1]
    assert max(steps[0]) < STEPS_APART <= min(steps[1])
    assert steps[1] == sorted(set(steps[1]))


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
    losses = [float(row["train/next_item"]) for row in rows if row["train/next_item"]]
    assert len(losses) >= 2 * 20 or len(losses) == max(int(row["step"]) for row in rows) + 1
    assert any(float(row["learning_rate"] or 0) > 0 for row in rows)
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
