"""The demand of a run: fitted before training, saved with the model, fitted again by a refit, moved by wrong dates."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.torch import load_file
from small_log import of_table, write_log

import seasonrec
from seasonrec.batches.requests import Requests
from seasonrec.cli.main import main
from seasonrec.evaluation.counterfactual.dates import WrongDate
from seasonrec.evaluation.counterfactual.trials import told_by
from seasonrec.evaluation.ranking.scorers import ModelScorer
from seasonrec.runs.demand import fit_demands
from seasonrec.runs.finished import load_models, open_finished

OPTIONS = ("demand=multinomial", "demand.use=id", "demand.hidden_dim=2", "season=[]", "loader.batch_size=8")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    write_log(folder)
    return folder


@pytest.fixture(scope="module")
def expecting(files: Path) -> Path:
    """A run without a season, whose habit and mixture read the demand; trained twice."""
    more = ("habit.demand=true", "mixture=fixed", "stage=[train,refit]")
    assert main(of_table(files, files / "expecting", *OPTIONS, *more)) == 0
    return files / "expecting"


def test_it_is_saved_with_the_model_and_evaluated_the_same(expecting: Path, tmp_path: Path) -> None:
    weights = load_file(expecting / "model.safetensors")
    assert bool(weights["demand.is_fitted"])
    assert weights["demand.linear"].abs().sum() > 0
    assert main(["evaluate", f"checkpoint={expecting}", f"output={tmp_path}"]) == 0
    assert (tmp_path / "metrics.json").read_text() == (expecting / "metrics.json").read_text()


def test_a_refit_fits_it_to_more_days_and_keeps_the_weights_of_the_mixture(expecting: Path, files: Path) -> None:
    once = files / "once"
    assert main(of_table(files, once, *OPTIONS, "habit.demand=true", "mixture=fixed")) == 0
    first, second = (load_file(folder / "model.safetensors") for folder in (once, expecting))
    assert not first["demand.linear"].equal(second["demand.linear"])
    assert first["mixture.weight"].equal(second["mixture.weight"])


def test_the_list_of_a_run_reads_the_demand(expecting: Path) -> None:
    run = seasonrec.load(expecting)
    summer, winter = (run.recommend(users=["u1"], at=at, top_k=16) for at in ("2017-07-01", "2017-12-30"))
    assert summer["item_id"].to_list() != winter["item_id"].to_list()
    assert summer["score"].exp().sum() == pytest.approx(1.0, abs=1e-5)


def test_wrong_dates_move_it(expecting: Path, tmp_path: Path) -> None:
    run = load_models(open_finished(expecting))
    scorer = ModelScorer("expecting", run.model, run.batches)
    requests = Requests.of_baskets(run.data.log, run.data.split.test_baskets(run.data.log)[:20])
    right = scorer.score(requests)
    told = told_by(scorer)
    assert not np.allclose(right, told(WrongDate("trend", 91)).score(requests))
    assert main(["counterfactual", f"checkpoint={expecting}", f"output={tmp_path}", "days=[91]"]) == 0
    table = pl.read_csv(tmp_path / "counterfactual.csv").filter(kind="trend", metric="bits", slice="all")
    assert table["difference"].abs().min() > 0


def test_the_habit_alone_reads_it(files: Path) -> None:
    """Without season and mixture nothing but the habit can hear of another trend."""
    run_dir = files / "habit"
    assert main(of_table(files, run_dir, *OPTIONS, "habit.demand=true", "mixture=none")) == 0
    run = load_models(open_finished(run_dir))
    scorer = ModelScorer("habit", run.model, run.batches)
    requests = Requests.of_baskets(run.data.log, run.data.split.test_baskets(run.data.log)[:20])
    wrong = told_by(scorer)(WrongDate("trend", 91))
    assert not np.allclose(scorer.score(requests), wrong.score(requests))


def test_training_alone_does_not_read_the_demand_of_a_mixture(files: Path) -> None:
    """Without ``habit.demand`` the training is that of a run without a demand, to the bit."""
    with_demand, without = files / "with", files / "without"
    assert main(of_table(files, with_demand, *OPTIONS, "mixture=fixed")) == 0
    assert main(of_table(files, without, "season=[]", "loader.batch_size=8", "mixture=fixed")) == 0
    first, second = (load_file(folder / "model.safetensors") for folder in (with_demand, without))
    trained = [name for name in second if not name.startswith("mixture.")]
    assert trained
    assert all(first[name].equal(second[name]) for name in trained)


def test_of_many_training_days_evenly_spaced_ones_are_fitted(
    expecting: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = load_models(open_finished(expecting))
    monkeypatch.setattr("seasonrec.runs.demand.FITTED_CELLS", 20 * run.data.log.num_items)
    run.model.demand.is_fitted.fill_(False)
    fit_demands(run)
    fitted = re.search(r"on (\d+) training days", capsys.readouterr().out)
    assert fitted is not None
    assert 10 < int(fitted[1]) <= 20


def test_a_training_part_without_a_day_to_fit_is_refused_before_training(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = tmp_path / "run"
    own = (*OPTIONS, "mixture=fixed", "protocol.horizon_days=200", "demand.windows_days=[90]")
    assert main(of_table(files, run_dir, *own)) != 0
    told = capsys.readouterr().err
    assert "demand=multinomial is fitted on training days that know 90 days of the log under" in told
    assert not list(run_dir.glob("**/*.ckpt"))
