"""The mixture of a run: fitted after training, saved with the model, kept by a refit."""

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from small_log import of_table, write_log
from small_visits import write_visits

import seasonrec
from seasonrec.batches.requests import Requests
from seasonrec.cli.main import main
from seasonrec.evaluation.ranking.scorers import ModelScorer
from seasonrec.models.mixture.base import Mixture
from seasonrec.runs import mixing
from seasonrec.runs.finished import load_models, open_finished

OPTIONS = ("mixture=gated", "trainer.max_epochs=2", "loader.batch_size=16")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    write_log(folder)
    return folder


@pytest.fixture(scope="module")
def mixed(files: Path) -> Path:
    assert main(of_table(files, files / "mixed", *OPTIONS)) == 0
    return files / "mixed"


@pytest.fixture(scope="module")
def refitted(files: Path) -> Path:
    assert main(of_table(files, files / "refitted", "stage=[train,refit]", *OPTIONS)) == 0
    return files / "refitted"


def weights_of(folder: Path, inside: str) -> dict[str, torch.Tensor]:
    return {name: value for name, value in load_file(folder / "model.safetensors").items() if inside in name}


def test_a_finished_run_ranks_with_its_fitted_mixture(mixed: Path) -> None:
    assert bool(weights_of(mixed, "mixture.is_fitted")["mixture.is_fitted"])
    run = load_models(open_finished(mixed))
    assert {"sales_shares", "own_shares"} <= set(run.batches.contexts)
    requests = Requests.of_baskets(run.data.log, run.data.split.test_baskets(run.data.log))
    scorer = ModelScorer("mixed", run.model, run.batches)
    scores = scorer.score(requests)
    mixture = run.model.mixture
    assert isinstance(mixture, Mixture)
    mixture.is_fitted.fill_(False)
    assert not torch.allclose(scores, scorer.score(requests))


def test_the_epoch_is_chosen_without_the_mixture(mixed: Path, files: Path) -> None:
    """Training is that of a run without a mixture, to the bit; only the test differs."""
    plain = files / "plain"
    assert main(of_table(files, plain, "mixture=none", *OPTIONS[1:])) == 0
    first, second = load_file(mixed / "model.safetensors"), load_file(plain / "model.safetensors")
    assert all(first[name].equal(second[name]) for name in second)
    both = [json.loads((folder / "metrics.json").read_text()) for folder in (mixed, plain)]
    assert both[0]["slices"]["all"]["bits"] != both[1]["slices"]["all"]["bits"]
    assert both[0]["fingerprint"] == both[1]["fingerprint"]


def test_a_refit_keeps_the_weights_that_were_fitted_on_held_out_weeks(mixed: Path, refitted: Path) -> None:
    first, second = weights_of(mixed, "mixture."), weights_of(refitted, "mixture.")
    assert first.keys() == second.keys()
    assert all(first[name].equal(second[name]) for name in first)
    assert not weights_of(mixed, "head.bias")["head.bias"].equal(weights_of(refitted, "head.bias")["head.bias"])


def test_recommend_gives_the_probabilities_of_the_mixture(mixed: Path) -> None:
    run = seasonrec.load(mixed)
    log = run.opened.data.log
    listed = run.recommend(at="2030-01-01", top_k=log.num_items)
    totals = listed.group_by("user_id").agg(total=pl.col("score").exp().sum())
    assert totals["total"].to_list() == pytest.approx([1.0] * len(totals), abs=1e-5)


def test_each_domain_has_a_mixture_of_its_own_and_evaluate_reproduces_both(files: Path, tmp_path: Path) -> None:
    domain = ("domain=[flickr]", f"domain.flickr.data.path={write_visits(tmp_path / 'V.parquet')}")
    run_dir = tmp_path / "run"
    own = ("mixture=fixed", "loader.batch_size=32", "trainer.max_epochs=1", *domain)
    assert main(of_table(files, run_dir, *own)) == 0
    folders = (run_dir, run_dir / "domains/flickr")
    first, second = (weights_of(folder, "mixture.") for folder in folders)
    assert bool(first["mixture.is_fitted"])
    assert bool(second["mixture.is_fitted"])
    assert not first["mixture.weight"].equal(second["mixture.weight"])
    assert main(["evaluate", f"checkpoint={run_dir}", f"output={tmp_path / 'again'}"]) == 0
    for folder in folders:
        again = tmp_path / "again" / folder.relative_to(run_dir) / "metrics.json"
        assert again.read_text() == (folder / "metrics.json").read_text()


TAKE = """
import sys, torch
from torch import distributed
from seasonrec.training.distributed.processes import take_from_first
rank, meeting = int(sys.argv[1]), sys.argv[2]
distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
tensor = torch.full((2,), float(rank + 1))
take_from_first([tensor])
print(tensor.tolist())
"""


def test_processes_take_the_tensors_of_the_first(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TAKE]
    started = [
        subprocess.Popen([*command, str(rank), str(tmp_path / "meeting")], stdout=subprocess.PIPE, text=True)
        for rank in (0, 1)
    ]
    assert [process.communicate(timeout=120)[0].strip() for process in started] == ["[1.0, 1.0]"] * 2


def test_every_fitted_number_is_that_of_the_first_process(mixed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, taken = load_models(open_finished(mixed)), []
    monkeypatch.setattr(mixing, "take_from_first", taken.extend)
    mixing.fit_mixtures(run)
    assert {id(tensor) for tensor in taken} == {id(tensor) for tensor in run.model.mixture.buffers()}


def test_a_loss_without_probabilities_is_refused_before_training(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = tmp_path / "run"
    assert main(of_table(files, run_dir, *OPTIONS, "loss=bce")) != 0
    assert "loss=BCE gives none; set mixture=none" in capsys.readouterr().err
    assert not list(run_dir.glob("**/*.ckpt"))
