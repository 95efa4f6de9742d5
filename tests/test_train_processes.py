"""Tests of a run in two processes from the console script: one folder, one output, and the results of one process."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from small_log import of_table, write_log

from seasonrec.cli.main import main


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_run_in_two_processes(strategy: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_log(tmp_path)
    run_dir = tmp_path / "run"
    overrides = ("trainer=ddp_cpu", f"trainer.strategy={strategy}", "loader.batch_size=40", "logger=csv")
    assert main(of_table(tmp_path, run_dir, *overrides)) == 0
    printed = capfd.readouterr()
    for line in ("-- prepare", "-- train", "epoch 1 of 1", "results in "):
        assert printed.out.count(line) == 1, "only the first process prints"
    assert "Warning" not in printed.err
    record = json.loads((run_dir / "record.json").read_text())
    assert record["config"]["trainer"]["devices"] == 2
    curves = pl.read_csv(run_dir / "curves" / "metrics.csv")
    assert curves["val/bits"].drop_nulls().len() == 1
    assert main(["evaluate", f"checkpoint={run_dir}", f"output={tmp_path / 'again'}"]) == 0
    metrics = [json.loads((folder / "metrics.json").read_text()) for folder in (run_dir, tmp_path / "again")]
    assert metrics[0] == metrics[1], "one process has the same counts"
    frames = [pl.read_parquet(folder / "results.parquet") for folder in (run_dir, tmp_path / "again")]
    assert frames[0].equals(frames[1])


def test_a_second_stage_in_two_processes_starts_from_the_finished_first(tmp_path: Path) -> None:
    write_log(tmp_path)
    run_dir = tmp_path / "run"
    same = of_table(
        tmp_path, run_dir, "trainer=ddp_cpu", "stage=[train,refit]", "loader.batch_size=40", "mixture=fixed"
    )
    assert main(same) == 0
    names = ("metrics.json", "model.safetensors", "results.parquet")
    before = [(run_dir / name).read_bytes() for name in names]
    kept = (run_dir / "stages" / "train" / "record.json").read_bytes()
    for path in (run_dir / "metrics.json", run_dir / "stages" / "refit" / "record.json"):
        path.unlink()
    shutil.rmtree(run_dir / "stages" / "refit" / "checkpoints")
    assert main(same) == 0
    assert (run_dir / "stages" / "train" / "record.json").read_bytes() == kept
    assert [
        (run_dir / name).read_bytes() for name in ("metrics.json", "model.safetensors", "results.parquet")
    ] == before


def test_too_few_gpus_are_one_message_before_any_work(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    write_log(tmp_path)
    assert main(of_table(tmp_path, tmp_path / "run", "trainer=fsdp")) == 2
    assert "trainer.devices=2 needs as many GPUs on this machine, found 0; choose trainer=cpu" in capfd.readouterr().err
    assert not (tmp_path / "cache").exists(), "refused before the data are prepared"
