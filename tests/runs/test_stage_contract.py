"""Contract tests of every stage; a new file under conf/stage is tested automatically."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from small_log import of_table, write_log

from seasonrec.cli.main import main
from seasonrec.config import build, conf_dir
from seasonrec.config.tree import read_yaml
from seasonrec.training.module import RecommenderModule

OPTIONS = sorted(path.stem for path in (conf_dir() / "stage").glob("*.yaml"))
EARLIER_S = 1e6
"""Seconds that an earlier stage is said to have taken: more than any test takes."""


def stages(option: str) -> list[str]:
    """Returns the stage after those that it needs."""
    after = build(read_yaml(conf_dir() / "stage" / f"{option}.yaml")[option])().after
    return [*(stages(after) if after else []), option]


def arguments(files: Path, run_dir: Path, option: str) -> list[str]:
    chosen = f"stage=[{','.join(stages(option))}]"
    return of_table(files, run_dir, chosen, "trainer.max_epochs=2", "loader.batch_size=20")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    write_log(folder)
    return folder


@pytest.fixture(scope="module")
def finished(files: Path) -> dict[str, Path]:
    """Trains one run for each stage; its folder is not changed."""
    for option in OPTIONS:
        assert main(arguments(files, files / option, option)) == 0
    return {option: files / option for option in OPTIONS}


@pytest.fixture
def unfinished(finished: dict[str, Path], option: str, tmp_path: Path) -> Path:
    """Returns a copy of the run whose stages are finished, but whose results are missing."""
    folder = copytree(finished[option], tmp_path / "run")
    for name in ("model.safetensors", "metrics.json", "record.json"):
        (folder / name).unlink()
    return folder


def content(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("option", OPTIONS)
def test_a_finished_stage_is_restored_without_training(
    files: Path, finished: dict[str, Path], unfinished: Path, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RecommenderModule, "training_step", None)
    assert main(arguments(files, unfinished, option)) == 0
    expected, restored = (load_file(folder / "model.safetensors") for folder in (finished[option], unfinished))
    assert [name for name in expected if not torch.equal(expected[name], restored[name])] == [], (
        "restore gives other weights; the stage must save its weights in place.folder, and restore must load them"
    )


@pytest.mark.parametrize("option", OPTIONS)
def test_a_finished_stage_is_evaluated_again_to_the_last_digit(
    finished: dict[str, Path], option: str, tmp_path: Path
) -> None:
    folder = finished[option]
    assert main(["evaluate", f"checkpoint={folder}", f"output={tmp_path}"]) == 0
    assert content(tmp_path / "metrics.json") == content(folder / "metrics.json"), (
        "the opened run reads other data; known must return the data that the stage's model was built on"
    )
    assert pl.read_parquet(tmp_path / "results.parquet").equals(pl.read_parquet(folder / "results.parquet"))


@pytest.mark.parametrize("option", OPTIONS)
def test_a_stage_counts_no_second_of_an_earlier_one(files: Path, unfinished: Path, option: str) -> None:
    """Runs the last stage again, after records of the earlier ones that tell of a very long time."""
    rmtree(unfinished / "stages" / option)
    for earlier in stages(option)[:-1]:
        path = unfinished / "stages" / earlier / "record.json"
        path.write_text(json.dumps(content(path) | {"earlier_s": EARLIER_S}), encoding="utf-8")
    assert main(arguments(files, unfinished, option)) == 0
    counted = content(unfinished / "stages" / option / "record.json")["earlier_s"]
    remedy = "return the result of fit, or that of an earlier stage from place.before, which has no time"
    assert max(counted, content(unfinished / "record.json")["stages_s"][option]) < EARLIER_S, remedy
