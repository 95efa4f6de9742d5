"""The command: one run over a generated log writes its files, and its mistakes are told before any work."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import polars as pl
import pytest

from seasonrec.cli.commands import COMMANDS
from seasonrec.cli.main import main
from seasonrec.config import ConfTree
from seasonrec.config.tree import read_yaml

SHOP = ("data=synthetic", "data.num_users=30", "data.num_items=12", "data.num_days=200", "data.visits_per_week=1.0")
COMPOSER = COMMANDS["forecast"].composer()


def test_all_forecasters_compose() -> None:
    tree = ConfTree.of()
    options = tree.options("forecaster")
    config = COMPOSER.compose([f"forecaster=[{','.join(options)}]"])
    for option in options:
        target = read_yaml(tree.file("forecaster", option))[option]["_target_"]
        assert config.forecaster[option]["_target_"] == target
    assert config.series["level"] == "item"
    assert (config.horizon, config.quantiles) == (4, (0.1, 0.5, 0.9))


def test_a_run_writes_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out"
    chosen = ("forecaster=[moving_average,seasonal_naive,gru]", "forecaster.gru.steps=2", "forecaster.gru.width=8")
    rest = ("series.fallback=naive", "horizon=2", "origins=3", "step=2", "seeds=[0,1]", "reference=seasonal_naive")
    assert main(["forecast", *SHOP, *chosen, *rest, f"run_dir={folder}", f"cache_dir={tmp_path}"]) == 0
    shown = capsys.readouterr().out
    assert "origins: " in shown
    assert f"results in {folder}" in shown
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    assert [one["forecaster"] for one in record["forecasters"]] == ["moving_average", "seasonal_naive", "gru", "gru"]
    assert len(record["origins"]) == 3
    assert record["origins"][0]["series"] + record["origins"][0]["series given to the fallback"] <= 12
    assert record["config"]["forecaster"]["gru"]["normalisation"] == "mean"
    table = pl.read_csv(folder / "table.csv")
    assert table["forecaster"].to_list() == ["moving_average", "seasonal_naive", "gru"]
    assert table["seeds"].to_list() == [1, 1, 2]
    assert set(pl.read_csv(folder / "differences.csv")["forecaster"]) == {"moving_average", "gru"}
    cells = pl.read_parquet(folder / "cells.parquet")
    mae = cells.filter(pl.col("forecaster") == "moving_average").select(
        (pl.col("actual") - pl.col("mean")).abs().mean()
    )
    assert table["mae"][0] == pytest.approx(mae.item())
    series = pl.read_parquet(folder / "series.parquet")
    actual = cells.filter(pl.col("forecaster") == "gru", pl.col("seed") == 0, pl.col("step") == 1)["actual"]
    at = [one["known periods"] for one in record["origins"]]
    assert actual.sum() <= sum(series["value"].to_numpy().reshape(-1, record["series"]["periods"])[:, at].sum(axis=0))
    coming = pl.read_csv(folder / "forecasts.csv")
    last = pl.read_json(folder / "record.json")["series"][0]["end of the last period"]
    assert coming["period"].min() == last
    assert coming.filter(pl.col("forecaster") == "gru")["seed"].unique().sort().to_list() == [0, 1]
    assert "| moving_average |" in (folder / "table.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["horizon=13"], "horizon = 13: must be at most 12; try horizon=4"),
        (["reference=ets"], "reference must be one of the forecasters seasonal_naive, moving_average, got 'ets'"),
        (["forecaster=[]"], "forecaster must name at least one, got none"),
        (["seeds=[1,1]"], "seeds = [1, 1]: must be distinct entries; try seeds=[0]"),
        (
            ["forecaster=[gru]", "forecaster.gru.window=0"],
            "forecaster.gru.window = 0: must be at least 1; try",
        ),
        (["backbone=sasrec"], "backbone = sasrec: unknown key, neither a value nor a group"),
        (["forecaster=[prophet]"], "forecaster = prophet: unknown option"),
    ],
)
def test_mistakes_are_told_before_any_work(
    overrides: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["forecast", *overrides, f"run_dir={tmp_path / 'out'}"]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out" / "record.json").exists()


def test_a_missing_library_is_told_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("seasonrec.commands.forecast.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "statsforecast.models", None)
    assert main(["forecast", "forecaster=[ets]", f"run_dir={tmp_path / 'out'}"]) == 2
    told = capsys.readouterr().err
    assert "forecaster=ets, series.fallback=croston: needs statsforecast" in told
    assert 'pip install "seasonrec[forecast]"' in told


def test_a_run_takes_no_forecaster(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "forecaster=[ets]"]) == 2
    assert "forecaster = ['ets']: unknown key, neither a value nor a group" in capsys.readouterr().err
