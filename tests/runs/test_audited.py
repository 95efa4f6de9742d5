"""Leak audit of whole runs: shipped components pass, and leaks in the code that builds them are refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from small_log import SMALL, replaced, write_log
from small_visits import write_visits

from seasonrec.batches import facts
from seasonrec.batches.audit import LeakError, audit
from seasonrec.batches.splits import spec_of
from seasonrec.config import compose
from seasonrec.config.schema import Component
from seasonrec.data.log import EventLog
from seasonrec.models import item_features
from seasonrec.models.augmentation import neighbours
from seasonrec.models.habit.none import NoHabit
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.runs import audited as module
from seasonrec.runs.audited import audited
from seasonrec.runs.run import Run

TASKS = "task=[next_basket,purchase,demand,category,spend,time_to_next,user_match,contrastive]"
YEARS = ("data=synthetic", "data.num_users=16", "data.num_items=24", "data.num_days=560", "split.train_from=null")
YEARS += ("split.validation_from=null", "split.test_from=null", "season=[momentum,calendar,last_year]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audited")
    write_log(folder)
    write_visits(folder / "V.parquet")
    return folder


def built(folder: Path, *more: str) -> Run:
    own = (*YEARS, f"cache_dir={folder / 'cache'}", f"run_dir={folder / 'run'}")
    run = Run.open(compose(replaced(replaced(SMALL, own), more)), progress=lambda line: None)
    run.build(for_training=True)
    return run


def lines_of(run: Run) -> dict[str, list[str]]:
    return {domain: audit(one) for domain, one in audited(run)}


@pytest.mark.parametrize(
    "more",
    [
        (TASKS, "augmentation=several"),
        ("protocol.horizon_days=14", "temporal=transformer_time", "augmentation=insert", "loss=sampled_softmax"),
        ("habit=frequency", "temporal=vae", "augmentation=reorder", "loss=gbce", "max_seq_len=5"),
    ],
    ids=["tasks", "horizon", "short"],
)
def test_shipped_components_pass(folder: Path, more: tuple[str, ...]) -> None:
    assert any("scores" in line for line in lines_of(built(folder, *more))[""])


def test_domains_pass_and_are_named(folder: Path) -> None:
    domain = ("domain=[flickr]", f"domain.flickr.data.path={folder / 'V.parquet'}")
    assert list(lines_of(built(folder, "season=[]", *domain))) == ["", "flickr"]


def test_long_log_is_built_from_some_users(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = built(folder)
    monkeypatch.setattr(module, "AUDITED_EVENTS", 300)
    ((_, one),) = audited(run)
    assert one.made["facts"].item_train_counts.sum() < run.facts.item_train_counts.sum()
    assert audit(one)


def test_audit_changes_neither_weights_nor_modes_nor_random_numbers(folder: Path) -> None:
    run = built(folder)
    weights = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    modes = [one.training for one in run.model.modules()]
    lines_of(run)
    assert torch.equal(torch.get_rng_state(), state)
    assert (np.random.get_state()[1] == numpy_state).all()  # type: ignore[index]  # noqa: NPY002
    assert [one.training for one in run.model.modules()] == modes
    assert all(torch.equal(tensor, weights[name]) for name, tensor in run.model.state_dict().items())


def all_baskets(log: EventLog, until_s: int, real: Callable[..., Any] = neighbours._baskets) -> Any:
    return real(log, 2**62)


def statistics_of_all(log: EventLog, until_s: int, real: Callable[..., Any] = facts._statistics) -> Any:
    return real(log, 2**62)


def until_birth(self: SeasonalRecommender, *given: Any, real: Any = SeasonalRecommender.score) -> Any:
    """Returns scores in which later items stand the higher, the earlier they come."""
    scores = real(self, *given)
    later_s = (self.first_seen_s - given[2].request_time_s[:, None]).clamp(min=0).float()
    return scores - later_s.sum(1, keepdim=True)


def habit_of_counts(self: NoHabit, facts: Any, real: Any = NoHabit.__init__) -> None:
    real(self, facts=facts)
    self.usual = facts.spec.num_events / facts.spec.num_baskets


@pytest.mark.parametrize(
    ("owner", "name", "leak", "place"),
    [
        (neighbours, "_baskets", all_baskets, r"augmentation\.neighbours\.ids \(Neighbours\)"),
        (facts, "_statistics", statistics_of_all, r"facts\.item_train_counts \(Facts\)"),
        (SeasonalRecommender, "score", until_birth, r"scores \(Tensor\)"),
        (NoHabit, "__init__", habit_of_counts, r"model\.habit\.usual \(NoHabit\)"),
    ],
    ids=["augmentation", "facts", "scores", "habit"],
)
def test_leak_in_the_code_that_builds_a_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, leak: Any, place: str
) -> None:
    monkeypatch.setattr(owner, name, leak)
    with pytest.raises(LeakError, match=rf"statistics from after the cut: {place} changes when"):
        lines_of(built(folder, "augmentation=substitute", "habit=none"))


READS_FEATURES = Component(_target_="seasonrec.models.item_encoder.features.FeatureItems", with_text=False)
"""Given to the run directly, because the preflight knows that ``data=synthetic`` has no features."""


def run_with_prices(folder: Path) -> Run:
    """Returns a run whose items have a price and a brand; one of them is first sold after the validation cut."""
    own = (*YEARS, f"cache_dir={folder / 'cache'}", f"run_dir={folder / 'run'}")
    run = Run.open(replace(compose(replaced(SMALL, own)), item_encoder=READS_FEATURES), progress=lambda line: None)
    log, split = run.data.log, run.data.split
    prices = pl.Series([None, *np.linspace(1.0, 9.0, log.num_items - 1).tolist()])
    brands = pl.Series([f"b{number % 3}" for number in range(log.num_items)])
    items = log.items.with_columns(prices.alias("feature.price"), brands.alias("feature.brand"))
    late_s = np.where(np.arange(log.num_items) == 5, split.validation_from_s + 1, log.item_first_seen_s)
    log = replace(log, items=items, item_first_seen_s=late_s)
    run.data = replace(run.data, log=log, spec=spec_of(log, split))
    run.build(for_training=True)
    return run


def test_statistics_of_features_come_from_items_of_the_training_part(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module._check_features(run_with_prices(folder))
    standardised = item_features.standardised
    monkeypatch.setattr(item_features, "standardised", lambda values, known: standardised(values, known | True))
    with pytest.raises(LeakError, match=r"model\.item_encoder\.features\.numbers changes when the features of items"):
        module._check_features(run_with_prices(folder))
