"""Tests of a run over two domains from the console script: training, files, evaluation and resuming."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from small_log import of_table, write_log
from small_visits import write_visits
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.cli.main import main
from seasonrec.config import compose
from seasonrec.evaluation.baselines.fitting import BASELINES
from seasonrec.runs.domains import domain_configs
from seasonrec.runs.opening import open_data
from seasonrec.training.module import RecommenderModule

SHARED = ("start", "backbone.", "item_encoder.text.project.")


def arguments(folder: Path, run_dir: Path, *more: str) -> list[str]:
    own = ("domain=[flickr]", f"domain.flickr.data.path={folder / 'V.parquet'}", "loader.batch_size=32")
    return of_table(folder, run_dir, *own, "item_encoder=id_text", "trainer.max_epochs=2", *more)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("domains")
    write_log(folder)
    write_visits(folder / "V.parquet")
    return folder


@pytest.fixture(scope="module")
def run(files: Path) -> Path:
    folder = files / "run"
    assert main(arguments(files, folder, "baselines=true", "logger=csv")) == 0
    return folder


def metrics_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "metrics.json").read_text())


def test_each_domain_is_evaluated_on_its_own(run: Path, files: Path) -> None:
    """Checks that fingerprint and test baskets are those of each log alone."""
    cache = f"cache_dir={files / 'cache'}"
    alone = open_data(compose(["data=flickr", f"data.path={files / 'V.parquet'}", cache]), lambda line: None)
    tables = [f"data.events={files / 'E.csv'}", f"data.items={files / 'I.csv'}"]
    shop = open_data(compose(["data=table", *tables, cache]), lambda line: None)
    domain = run / "domains" / "flickr"
    assert metrics_of(domain)["fingerprint"] == alone.fingerprint != metrics_of(run)["fingerprint"] == shop.fingerprint
    test_from = pl.from_epoch(pl.Series([alone.split.test_from_s]))[0]
    tested = pl.read_parquet(files / "V.parquet").filter(pl.col("arrived") >= test_from)
    results = pl.read_parquet(domain / "results.parquet")
    assert len(results) == metrics_of(domain)["slices"]["all"]["baskets"] == tested.n_unique(["user_id", "arrived"]) > 9
    assert set(results["user_id"]) == set(tested["user_id"])
    for name in BASELINES:
        counted = metrics_of(domain / "baselines" / name)
        assert counted["fingerprint"] == alone.fingerprint
        assert counted["slices"]["all"]["n"] == metrics_of(domain)["slices"]["all"]["n"]
    assert not (run / "baselines" / "last_year_id").exists(), "only the log of visits has more than a year"


def test_both_models_are_kept_and_agree_on_what_they_share(run: Path) -> None:
    first, second = (load_file(folder / "model.safetensors") for folder in (run, run / "domains" / "flickr"))
    shared = {name for name in first if name.startswith(SHARED)}
    assert len(shared) > 10
    assert {name for name in second if name.startswith(SHARED)} == shared
    for name in shared:
        assert torch.equal(first[name], second[name]), name
    assert first["item_encoder.id.vectors.weight"].shape == (16, 16)
    assert second["item_encoder.id.vectors.weight"].shape == (12, 16)
    record = json.loads((run / "domains" / "flickr" / "record.json").read_text())
    assert record["shared"] == ["start", "backbone", "item_encoder.text.project"]
    assert record["parameters"] - record["own_parameters"] == sum(first[name].numel() for name in shared)


def test_curves_show_both_domains(run: Path) -> None:
    curves = pl.read_csv(run / "curves" / "metrics.csv")
    for name in ("val/bits", "val/ndcg@10", "val/flickr/bits", "val/flickr/ndcg@10"):
        assert curves[name].drop_nulls().len() == 2, name
    record = json.loads((run / "record.json").read_text())
    best = curves["val/bits"].drop_nulls().min()
    assert record["monitored"] == pytest.approx(best), "the main domain decides the epoch"


def test_one_epoch_is_the_best_for_both(run: Path) -> None:
    record = json.loads((run / "record.json").read_text())
    kept = sorted(
        str(path.relative_to(run / "stages" / "train" / "checkpoints"))
        for path in (run / "stages" / "train" / "checkpoints").rglob("*.safetensors")
    )
    name = f"best_epoch_{record['best_epoch']}.safetensors"
    assert kept == [name, f"domains/flickr/{name}"]
    for folder, inside in ((run, ""), (run / "domains" / "flickr", "domains/flickr")):
        best = load_file(run / "stages" / "train" / "checkpoints" / inside / name)
        assert_equal(best, load_file(folder / "model.safetensors"))


def test_evaluate_reproduces_both(run: Path, tmp_path: Path) -> None:
    assert main(["evaluate", f"checkpoint={run}", f"output={tmp_path}"]) == 0
    for inside in (".", "domains/flickr"):
        assert metrics_of(tmp_path / inside) == metrics_of(run / inside)
        frames = [pl.read_parquet(folder / inside / "results.parquet") for folder in (run, tmp_path)]
        assert frames[0].equals(frames[1])


def test_refit_trains_every_domain_again_and_a_finished_stage_is_restored(files: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    same = arguments(files, run_dir, "stage=[train,refit]", "baselines=false")
    assert main(same) == 0
    stages = [run_dir / "stages" / name / "checkpoints" for name in ("train", "refit")]
    for inside in (".", "domains/flickr"):
        first, second = (load_file(next((folder / inside).glob("best_epoch_*.safetensors"))) for folder in stages)
        assert any(not torch.equal(first[name], second[name]) for name in first)
        assert_equal(second, load_file(run_dir / inside / "model.safetensors"))
    before = {inside: metrics_of(run_dir / inside) for inside in (".", "domains/flickr")}
    for inside in before:
        (run_dir / inside / "metrics.json").unlink()
    assert main(same) == 0  # both stages are finished
    assert {inside: metrics_of(run_dir / inside) for inside in before} == before


def test_a_killed_run_ends_as_one_left_alone(
    run: Path, files: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Kills the run in the second epoch, after batches of both domains."""
    step, met = RecommenderModule.training_step, []

    def killed(module: RecommenderModule, batch: SequenceBatch, batch_idx: int) -> Tensor:
        met.append(batch.domain)
        if module.current_epoch == 1 and batch_idx == 5:
            raise KeyboardInterrupt
        return step(module, batch, batch_idx)

    same = arguments(files, tmp_path, "trainer.checkpoint_every_steps=2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RecommenderModule, "training_step", killed)
        assert main(same) == 130
    assert {None, "flickr"} <= set(met)
    assert not (tmp_path / "metrics.json").exists()
    assert "epoch 1 of 2: train/flickr/next_item" in capfd.readouterr().out
    assert main(same) == 0
    for inside in (".", "domains/flickr"):
        assert metrics_of(tmp_path / inside) == metrics_of(run / inside)
        weights = [load_file(folder / inside / "model.safetensors") for folder in (tmp_path, run)]
        assert_equal(*weights)


def assert_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def test_prepare_prepares_every_domain(files: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    given = [line for line in arguments(files, tmp_path)[1:] if line.startswith(("data", "domain"))]
    assert main(["prepare", *given, f"cache_dir={tmp_path / 'cache'}"]) == 0
    printed = capfd.readouterr().out
    assert "num_items: 16" in printed
    assert "domain flickr" in printed
    assert "num_items: 12" in printed
    assert len(list((tmp_path / "cache" / "prepared").iterdir())) >= 2


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("domain.flickr.data.path=nowhere.parquet", "domain.flickr.data.path = nowhere.parquet: must name a"),
        ("domain.flickr.data.city=Leeds", "domain.flickr: data.city must be one of Edinburgh, "),
        ("domain.flickr.split.test_from=2019-01-07", "domain.flickr: split.test_from must lie inside the log"),
        ("domain.flickr.alpha=1.5", "domain.flickr.alpha = 1.5: must lie in [0, 1]; try domain.flickr.alpha=0.5"),
    ],
)
def test_refused_input_names_the_domain(
    files: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], override: str, message: str
) -> None:
    given = arguments(files, tmp_path / "run")
    key = override.partition("=")[0]
    given = [line for line in given if not line.startswith(f"{key}=")]
    assert main([*given, override]) == 2
    error = capfd.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_two_processes_train_both_domains_and_find_what_one_finds(files: Path, tmp_path: Path) -> None:
    """Checks that DDP divides the batches of each domain, and that the evaluation is that of one process."""
    run_dir = tmp_path / "run"
    both = ("trainer=ddp_cpu", "loader.batch_size=24", "trainer.max_epochs=1", "baselines=false")
    given = {override.partition("=")[0] for override in both}
    own = [part for part in arguments(files, run_dir) if part.partition("=")[0] not in given]
    assert main([*own, *both]) == 0
    assert json.loads((run_dir / "record.json").read_text())["config"]["trainer"]["devices"] == 2
    assert main(["evaluate", f"checkpoint={run_dir}", f"output={tmp_path / 'again'}"]) == 0
    for place in (Path(), Path("domains") / "flickr"):
        assert metrics_of(run_dir / place) == metrics_of(tmp_path / "again" / place)
        shared, alone = (pl.read_parquet(root / place / "results.parquet") for root in (run_dir, tmp_path / "again"))
        assert shared.equals(alone)


def test_a_domain_does_without_what_its_columns_lack() -> None:
    own = ["data.events=E.csv", "data.items=I.csv", "data.behaviour_column=kind", "data.features=[price]"]
    own += [
        "protocol.target_behaviour=buy",
        "behaviour=embedding",
        "item_encoder=features",
        "item_encoder.hidden_dim=9",
    ]
    config = compose(["data=table", *own, "domain=[flickr]", "domain.flickr.data.path=V.csv"])
    flickr = domain_configs(config)["flickr"]
    assert flickr.protocol == {**config.protocol, "target_behaviour": None}
    assert flickr.behaviour["_target_"].endswith("NoBehaviour")
    assert flickr.item_encoder["hidden_dim"] == 9
    assert flickr.item_encoder["_target_"].endswith("IdTextItems")
