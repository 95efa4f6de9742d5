"""Walks: each period is answered before it is learned, and a killed walk ends alike."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import seasonrec
from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.requests import Requests
from seasonrec.batches.user_pools import Period
from seasonrec.cli.main import main
from seasonrec.config import build, conf_dir
from seasonrec.config.tree import read_yaml
from seasonrec.runs.adaptation.base import UpdatePlace
from seasonrec.runs.finished import load_models, open_finished
from seasonrec.runs.run import Run
from seasonrec.runs.walk.models import copied, opened, started
from seasonrec.runs.walk.origins import monthly
from seasonrec.runs.walk.ranking import Difference
from seasonrec.runs.walk.walk import Walk
from seasonrec.training.continual.modes import modes_of
from seasonrec.training.fit import TrainerOptions
from seasonrec.training.module import RecommenderModule

ADAPTATIONS = sorted(path.stem for path in (conf_dir() / "adaptation").glob("*.yaml"))
FULL = ("adaptation=full", "adaptation.epochs=1", "adaptation.learning_rate=0.0005")
FEWER = {"ewc": {"requests": 16}, "replay": {"per_season": 5}}
LOG = ("data=synthetic", "data.num_users=24", "data.num_items=30", "data.num_days=560", "data.visits_per_week=0.9")
SMALL = (
    "embedding_dim=16", "max_seq_len=12", "trainer.max_epochs=1", "trainer.num_threads=1", "item_encoder=id",
    "season=[momentum]", "mixture=fixed", "logger=none", "baselines=false", "loader.batch_size=16",
    "trainer.checkpoint_every_steps=1", "data.first_date=2016-06-01",
)  # fmt: skip


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("walks")
    assert main(["train", *LOG, *SMALL, f"cache_dir={folder / 'cache'}", f"run_dir={folder / 'run'}"]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def run(checkpoint: Path) -> Run:
    return load_models(open_finished(checkpoint), for_training=True)


def walk(checkpoint: Path, folder: Path, *more: str) -> Path:
    assert main(["adapt", f"checkpoint={checkpoint}", f"output={folder}", *more]) == 0
    return folder


@pytest.fixture(scope="module")
def full(checkpoint: Path) -> Path:
    return walk(checkpoint, checkpoint / "adaptation" / "full", *FULL)


def rows_of(folder: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted((folder / "origins").glob("2*.json"))]


def bits_of(frame: pl.DataFrame) -> np.ndarray:
    return frame["bits"].explode().to_numpy()


def without_seconds(folder: Path) -> list[dict]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows_of(folder)]


def test_a_static_walk_is_the_evaluation_of_the_run(checkpoint: Path) -> None:
    folder = walk(checkpoint, checkpoint / "adaptation" / "static")
    own, walked = (pl.read_parquet(place / "results.parquet") for place in (checkpoint, folder))
    assert own["basket"].to_list() == walked["basket"].to_list()
    assert np.allclose(bits_of(own), bits_of(walked), atol=1e-4, equal_nan=True)
    assert {row["decision"] for row in rows_of(folder)} == {"static"}
    assert not (folder / "models").exists()
    table = pl.read_csv(folder / "rows.csv")
    assert table["n"].sum() == own["bits"].list.len().sum()


def test_a_walk_goes_on_with_a_later_last_day(checkpoint: Path, tmp_path: Path) -> None:
    short = walk(checkpoint, tmp_path, "adaptation=static", "until=2017-10-10")
    assert [row["next_origin"] for row in rows_of(short)] == ["2017-10-01", "2017-10-11"]
    kept = (short / "origins" / "2017-09-18.json").stat().st_mtime_ns
    older = short / "origins" / "2017-09-18.parquet"  # as an earlier version would have written it, without a partition
    frame, metadata = pl.read_parquet(older), pl.read_parquet_metadata(older)
    frame.drop(cs.contains("last_year")).write_parquet(older, metadata=metadata)
    (short / "origins" / "digests.json").unlink()
    assert "last_year" in "".join(frame.columns)
    walk(checkpoint, tmp_path, "adaptation=static")
    assert (short / "origins" / "2017-09-18.json").stat().st_mtime_ns == kept
    own, walked = (pl.read_parquet(place / "results.parquet") for place in (checkpoint, tmp_path))
    assert own["basket"].to_list() == walked["basket"].to_list()
    record = json.loads((tmp_path / "record.json").read_text())
    assert pl.read_parquet_metadata(tmp_path / "results.parquet")["fingerprint"] == record["fingerprint"]


def test_no_period_is_learned_before_it_is_answered(full: Path, run: Run) -> None:
    rows = rows_of(full)
    assert len(rows) >= 3
    assert {row["decision"] for row in rows} <= {"live", "worse"}
    for row in rows:
        assert row["learned_until"] < row["origin"]
        assert row["gate"]["n"] > 0
        assert row["trained_bytes"] == 4 * sum(weight.numel() for weight in run.model.parameters())
        assert row["year_ago"]["n"] > 0  # the log holds the same days of the previous year
    lives = [row for row in rows if row["decision"] == "live"]
    assert [row["model"] for row in lives] == [row["origin"] for row in lives]
    learned = [row["learned_until_s"] for row in rows]
    assert learned == sorted(learned)


def test_a_model_of_a_walk_opens_recommends_and_is_tested_from_its_origin_on(full: Path, tmp_path: Path) -> None:
    last = [row for row in rows_of(full) if row["decision"] == "live"][-1]
    folder = full / "models" / last["model"]
    lists = seasonrec.load(folder).recommend(at="2017-12-24", top_k=3)
    assert lists["user_id"].n_unique() == 24
    assert main(["evaluate", f"checkpoint={folder}", f"output={tmp_path}"]) == 0
    tested = pl.read_parquet(tmp_path / "results.parquet")
    assert str(tested["day"].min()) >= last["origin"]
    metadata = [pl.read_parquet_metadata(place / "results.parquet") for place in (tmp_path, full.parents[1])]
    assert metadata[0]["fingerprint"] != metadata[1]["fingerprint"]
    if last is rows_of(full)[-1]:
        walked = pl.read_parquet(full / "origins" / f"{last['origin']}.parquet")
        assert np.allclose(bits_of(tested), bits_of(walked), atol=1e-4, equal_nan=True)


def killed(at: int) -> Any:
    """Returns a training step that counts its calls in ``steps`` and ends the walk at one of them."""
    step, steps = RecommenderModule.training_step, []

    def counted(module: RecommenderModule, batch: SequenceBatch, batch_idx: int) -> Tensor:
        steps.append(batch_idx)
        if len(steps) == at:
            raise KeyboardInterrupt
        return step(module, batch, batch_idx)

    counted.steps = steps
    return counted


def test_a_killed_walk_keeps_its_last_good_model_and_ends_alike(checkpoint: Path, full: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RecommenderModule, "training_step", killed(at=12))
        with pytest.raises(SystemExit):
            raise SystemExit(main(["adapt", f"checkpoint={checkpoint}", f"output={tmp_path}", *FULL]))
    before = rows_of(tmp_path)
    assert 0 < len(before) < len(rows_of(full))
    live = tmp_path / "models" / before[-1]["model"] / "model.safetensors"
    assert live.is_file()
    assert not (tmp_path / "record.json").exists()
    kept = live.stat().st_mtime_ns
    with pytest.MonkeyPatch.context() as patch:
        again = killed(at=0)
        patch.setattr(RecommenderModule, "training_step", again)
        walk(checkpoint, tmp_path, *FULL)
    steps = sum(-(-row["new_requests"] // 16) for row in rows_of(full))
    assert len(again.steps) == steps - 11, "it continues inside its update"
    assert not (tmp_path / "updates").exists()
    assert live.stat().st_mtime_ns == kept
    assert without_seconds(tmp_path) == without_seconds(full)
    for path in full.glob("models/*/model.safetensors"):
        first, second = load_file(path), load_file(tmp_path / path.relative_to(full))
        assert all(torch.equal(first[name], second[name]) for name in first | second)


def test_a_bad_update_stays_out(checkpoint: Path, tmp_path: Path) -> None:
    folder = walk(checkpoint, tmp_path, *FULL[:2], "adaptation.learning_rate=5.0", "until=2017-11-30")
    rows = rows_of(folder)
    assert {row["decision"] for row in rows} == {"worse"}
    assert {row["model"] for row in rows} == {"start"}
    assert all(row["gate"]["low"] > 0 for row in rows)
    assert all(row["year_ago"]["value"] == 0 for row in rows)
    assert [row["new_requests"] for row in rows] == sorted(row["new_requests"] for row in rows)  # not learned yet
    static = pl.read_parquet(checkpoint / "results.parquet")
    walked = pl.read_parquet(folder / "results.parquet")
    same = static.filter(pl.col("basket").is_in(walked["basket"].implode()))
    assert np.allclose(bits_of(same), bits_of(walked), atol=1e-4, equal_nan=True)


def place_of(run: Run, folder: Path) -> UpdatePlace:
    past = Period(run.data.split.train_from_s, run.data.split.train_until_s)
    return UpdatePlace(folder, TrainerOptions(num_threads=1), seed=5, epochs=1, past=past)


@pytest.mark.parametrize("option", [name for name in ADAPTATIONS if name != "static"])
def test_an_adaptation_starts_from_the_live_scores_learns_and_says_what_it_costs(
    run: Run, option: str, tmp_path: Path
) -> None:
    fewer = {} if option == "retrain" else {"epochs": 1, **FEWER.get(option, {})}
    adaptation = build(read_yaml(conf_dir() / "adaptation" / f"{option}.yaml"))(**fewer)
    begun = started(run, adaptation)
    data = run.data
    (origin, *_) = monthly(data.log, data.split, "test", None, 2)
    modes = dict.fromkeys(modes_of(begun.model), True)
    live = copied(begun, data, modes)
    requests = Requests.of_baskets(data.log, data.split.test_baskets(data.log)[:8])
    expected = _scores(run, requests)
    assert torch.equal(_scores(live, requests), expected)
    split = origin.split(data.spec.train_until_s)
    live = copied(begun, replace(data, split=split), modes)
    names, trained = list(live.model.state_dict()), {n for n, w in live.model.named_parameters() if w.requires_grad}
    update = adaptation(live, place_of(run, tmp_path))
    assert update.trained_bytes > 0
    assert update.requests >= len(split.train_baskets(data.log))
    assert modes_of(live.model) == modes or option == "retrain"  # trained with its dropout, whatever came before
    assert not torch.equal(_scores(update.run, requests), expected)
    assert torch.equal(_scores(begun, requests), expected)  # the live weights are another object
    assert list(update.run.model.state_dict()) == names
    assert {n for n, w in update.run.model.named_parameters() if w.requires_grad} == trained
    mixture, own = (one.model.mixture.state_dict() for one in (update.run, run))
    assert all(torch.equal(mixture[name], own[name]) for name in own)


def _scores(run: Run, requests: Requests) -> Tensor:
    with torch.no_grad():
        return run.model.eval()(run.batches.only(run.model.contexts(with_tasks=False))(requests))


def test_adapters_of_other_seasons_are_kept_to_the_bit(checkpoint: Path, tmp_path: Path) -> None:
    folder = walk(
        checkpoint, tmp_path, "adaptation=season_adapters", "adaptation.epochs=1", "gate_weeks=0", "until=2017-10-31"
    )
    first, last = (load_file(path) for path in sorted(folder.glob("models/*/model.safetensors"))[:2])
    moved = {name for name in first if not torch.equal(first[name], last[name])}
    assert moved
    assert {name.rpartition(".")[0] for name in moved} <= {
        f"season.season_adapters.{k}" for k in ("down", "up", "shift")
    }
    assert not {"season.season_adapters.up.0", "season.season_adapters.up.1"} & moved  # January to June
    config = opened(folder, rows_of(folder)[-1]["model"]).config
    assert config.season["season_adapters"]["number"] == 4


def test_a_verdict_needs_an_interval() -> None:
    assert Difference("bits", 0.1, 0.01, 0.2, 50, 9).verdict == "worse"
    assert Difference("bits", 0.1, -0.01, 0.2, 50, 9).verdict == "live"
    assert Difference("ndcg@10", -0.1, -0.2, -0.01, 50, 9).verdict == "worse"
    assert Difference("ndcg@10", 0.1, 0.01, 0.2, 50, 9).verdict == "live"
    assert Difference("bits", 0.1, None, None, 5, 2).verdict == "unjudged"
    assert Difference("bits", None, None, None, 0, 0).verdict == "unjudged"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            [*FULL[::2], "adaptation.epochs=3"],
            "holds a walk with another configuration .adaptation.epochs: 1 -> 3",
        ),
        ([*FULL, "until=2031-01-01"], "until must be a day of the walk, got 2031-01-01"),
        (["adaptation=lora", "adaptation.rank=0", "name=a"], "adaptation.rank = 0: must be at least 1"),
        (["adaptation=fully"], "unknown option"),
    ],
)
def test_a_wrong_walk_is_refused(
    checkpoint: Path, full: Path, capfd: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert main(["adapt", f"checkpoint={checkpoint}", *more]) == 2
    assert re.search(message, capfd.readouterr().err)


def test_a_model_of_a_walk_does_not_walk_again(full: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = next(full.glob("models/*"))
    assert main(["adapt", f"checkpoint={folder}"]) == 2
    assert "a model of a walk; give the run that it began with" in capfd.readouterr().err


def test_an_origin_without_events_is_counted(checkpoint: Path, run: Run, tmp_path: Path) -> None:
    data = run.data
    origins = monthly(data.log, data.split, "test", "2017-11-30", 2)
    empty = replace(origins[0], day="2018-06-01", next_day="2018-07-01", from_s=data.split.end_s + 1)
    empty = replace(empty, until_s=empty.from_s + 10, gate_from_s=data.split.train_until_s)
    adaptation = build(read_yaml(conf_dir() / "adaptation" / "full.yaml"))()
    made = Walk(run, adaptation, "full", tmp_path, (*origins[:1], empty), TrainerOptions(), 1, True, "bits")
    first, last = made()
    assert last.decision == "nothing"
    assert (last.baskets, last.n, last.metrics) == (0, 0, {})
    assert first.n > 0
