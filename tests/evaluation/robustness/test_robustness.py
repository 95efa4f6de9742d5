"""Perturbed inputs against weights changed by hand, changed histories against lists, and the table of both."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from small_model import small_model
from small_shop import Shop

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.requests import Requests
from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.ranking.evaluator import quick_metrics
from seasonrec.evaluation.ranking.scorers import ModelScorer
from seasonrec.evaluation.robustness.histories import histories
from seasonrec.evaluation.robustness.trials import PerturbedScorer, RobustnessOptions, robustness_table, write_table
from seasonrec.models.backbone.sasrec import SASRec
from seasonrec.models.recommender import SeasonalRecommender

OPTIONS = RobustnessOptions(target="inputs", sizes=(0.1, 0.4), shares=(0.5,), max_requests=40, seed=0)


@pytest.fixture
def scorer(shop: Shop) -> ModelScorer:
    model = small_model(shop)
    with torch.no_grad():
        model.item_encoder.vectors.weight.mul_(30.0)  # scores of order one
    return ModelScorer("small", model, shop.builder(model.contexts()))


def perturbed(scorer: ModelScorer, target: Any, direction: str, size: float) -> PerturbedScorer:
    return PerturbedScorer(scorer.name, scorer.model, scorer.builder, target, direction, size, seed=0)


def loss_of(model: SeasonalRecommender, batch: SequenceBatch) -> torch.Tensor:
    scores = model.mask_unavailable(model(batch), batch)
    return -torch.log_softmax(scores, 1)[batch.target_request, batch.target_items].mean()


def test_items_are_perturbed_as_a_table_moved_by_hand(shop: Shop, scorer: ModelScorer) -> None:
    requests = shop.some_requests(20)
    model = deepcopy(scorer.model).eval()
    weight = model.item_encoder.vectors.weight
    loss_of(model, scorer.builder(requests)).backward()
    gradient = weight.grad
    assert gradient is not None
    with torch.no_grad():
        shift = 0.2 * weight.norm(dim=1).mean() * gradient / gradient.norm(dim=1, keepdim=True)
        shift = shift.nan_to_num(0.0)  # of items that are not available yet
        weight += shift
    expected = ModelScorer("moved", model, scorer.builder).score(requests)
    found = perturbed(scorer, "items", "adversarial", 0.2).score(requests)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(found, scorer.score(requests), atol=1e-2)


def test_inputs_are_perturbed_on_both_ways_through_the_backbone(
    shop: Shop, scorer: ModelScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = shop.some_requests(20)
    met: list[str] = []
    plain = SASRec.at
    monkeypatch.setattr(SASRec, "at", lambda *given: met.append("at") or plain(*given))
    short = {one: perturbed(scorer, "inputs", one, 0.3).score(requests) for one in ("adversarial", "random")}
    assert met == ["at"] * 5  # two norms, one gradient, two scores
    assert "at" not in vars(scorer.model.backbone)
    monkeypatch.setattr(SeasonalRecommender, "_one_position_each", lambda *given: False)
    for direction, scores in short.items():
        whole = perturbed(scorer, "inputs", direction, 0.3).score(requests)
        torch.testing.assert_close(scores, whole, rtol=1e-4, atol=1e-4)
        assert not torch.allclose(scores, scorer.score(requests), atol=1e-3)


@pytest.mark.parametrize("target", ["items", "inputs"])
def test_the_adversarial_direction_is_worse_than_random_ones(shop: Shop, scorer: ModelScorer, target: Any) -> None:
    requests = Requests.of_baskets(shop.log, shop.split.test_baskets(shop.log)[:40])

    def bits(one: Any) -> float:
        return quick_metrics(one, shop.log, requests, Protocol())["bits"]

    clean, worst = bits(scorer), bits(perturbed(scorer, target, "adversarial", 0.05))
    noise = [bits(replace(perturbed(scorer, target, "random", 0.05), seed=seed)) for seed in range(4)]
    assert len(set(noise)) == 4
    assert worst - clean > 4 * max(abs(one - clean) for one in noise)
    assert bits(perturbed(scorer, target, "adversarial", 1e-6)) == pytest.approx(clean, abs=1e-3)


def test_a_perturbation_leaves_the_model_as_it_was(shop: Shop, scorer: ModelScorer) -> None:
    requests = shop.some_requests(10)
    before = scorer.score(requests)
    for target in ("items", "inputs"):
        perturbed(scorer, target, "adversarial", 0.5).score(requests)
    assert torch.equal(scorer.score(requests), before)
    assert all(weight.grad is None for weight in scorer.model.parameters())
    hooks = [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in scorer.model.modules()]
    assert sum(hooks) == 0


def rows_of(batch: SequenceBatch) -> list[list[int]]:
    return [row[:end].tolist() for row, end in zip(batch.item_ids, batch.request_position.tolist(), strict=True)]


def changed_batches(shop: Shop, kind: str, share: float) -> tuple[SequenceBatch, SequenceBatch]:
    baskets = shop.split.train_baskets(shop.log)
    batch = shop.builder({})(Requests.of_baskets(shop.log, baskets[:: len(baskets) // 300]))
    assert 0 in batch.request_position
    assert not batch.is_padding.all(0).any()
    change = histories(shop.log.num_items)[kind]
    return batch, change(batch, share, np.random.default_rng(0))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("kind", ["swap", "drop", "shuffle"])
def test_requests_targets_and_padding_stay(shop: Shop, kind: str, share: float) -> None:
    batch, changed = changed_batches(shop, kind, share)
    history = ("item_ids", "timestamps_s", "is_padding", "request_position")
    for field in fields(SequenceBatch):
        if field.name not in history:
            assert getattr(changed, field.name) is getattr(batch, field.name), field.name
    columns = torch.arange(changed.item_ids.shape[1])
    assert torch.equal(changed.is_padding, columns >= changed.request_position[:, None])
    assert (changed.item_ids[changed.is_padding] == shop.log.num_items).all()
    assert (changed.timestamps_s[changed.is_padding] == 0).all()
    assert (changed.item_ids[~changed.is_padding] < shop.log.num_items).all()
    if share == 0.0:
        assert all(torch.equal(getattr(changed, name), getattr(batch, name)) for name in history)


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_swapped_events_are_neighbours(shop: Shop, share: float) -> None:
    batch, changed = changed_batches(shop, "swap", share)
    assert torch.equal(changed.timestamps_s, batch.timestamps_s)
    moved, events = 0, 0
    for before, after in zip(rows_of(batch), rows_of(changed), strict=True):
        place = 0
        while place < len(before):  # an event stays or is swapped with its neighbour
            if before[place] == after[place]:
                place += 1
            else:
                assert (before[place], before[place + 1]) == (after[place + 1], after[place])
                place, moved = place + 2, moved + 2
        events += len(before)
    assert moved / events == pytest.approx(share, abs=0.12)  # an event without a neighbour stays


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_dropped_events_are_gone_with_their_times(shop: Shop, share: float) -> None:
    batch, changed = changed_batches(shop, "drop", share)
    left = changed.request_position.sum() / batch.request_position.sum()
    assert left == pytest.approx(1 - share, abs=0.05)
    for row, end in enumerate(changed.request_position.tolist()):
        whole = list(zip(batch.item_ids[row].tolist(), batch.timestamps_s[row].tolist(), strict=True))
        kept = zip(changed.item_ids[row, :end].tolist(), changed.timestamps_s[row, :end].tolist(), strict=True)
        rest = iter(whole)
        assert all(event in rest for event in kept), "in their order, none twice"


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_shuffled_events_are_all_there(shop: Shop, share: float) -> None:
    batch, changed = changed_batches(shop, "shuffle", share)
    assert torch.equal(changed.timestamps_s, batch.timestamps_s)
    pairs = list(zip(rows_of(batch), rows_of(changed), strict=True))
    assert all(sorted(before) == sorted(after) for before, after in pairs)
    moved = np.mean([a != b for before, after in pairs for a, b in zip(before, after, strict=True)])
    assert 0.5 * share < moved < share
    far = [abs(before.index(item) - place) for before, after in pairs for place, item in enumerate(after)]
    assert max(far) > 5


def test_windows_that_serve_several_requests_are_refused(shop: Shop) -> None:
    requests = shop.some_requests(40)
    order = np.argsort(requests.users, kind="stable")
    _, window_of = np.unique(requests.users[order], return_inverse=True)
    batch = shop.builder({})(requests[order], window_of)
    with pytest.raises(
        ValueError, match=r"needs one fully read window per request, got \d+ windows for 40 requests; build"
    ):
        histories(30)["drop"](batch, 0.5, np.random.default_rng(0))


def test_table_has_a_row_for_every_trial(shop: Shop, scorer: ModelScorer, tmp_path: Path) -> None:
    requests = Requests.of_baskets(shop.log, shop.split.test_baskets(shop.log))
    told: list[str] = []
    table = robustness_table(scorer, shop.log, requests, Protocol(), OPTIONS, told.append)
    kinds = ["clean", *["adversarial"] * 2, *["random"] * 2, "swap", "drop", "shuffle"]
    assert table["kind"].to_list() == kinds
    assert table["size"].to_list() == [0.0, 0.1, 0.4, 0.1, 0.4, 0.5, 0.5, 0.5]
    assert table["target"].to_list() == [None, *["inputs"] * 4, None, None, None]
    step = -(-len(requests) // 40)
    clean = quick_metrics(scorer, shop.log, requests[::step], Protocol())
    assert table.row(0, named=True)["ndcg@10"] == clean["ndcg@10"]
    assert table["requests"].unique().to_list() == [len(requests[::step])]
    assert table["bits"].n_unique() == len(kinds)
    assert len(told) == len(kinds)
    assert table.equals(robustness_table(scorer, shop.log, requests, Protocol(), OPTIONS, told.append))
    write_table(tmp_path / "made" / "robustness.csv", table)
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["robustness.csv"]
    assert pl.read_csv(tmp_path / "made" / "robustness.csv")["bits"].to_list() == table["bits"].to_list()


def test_a_target_that_the_model_has_not(shop: Shop, scorer: ModelScorer) -> None:
    requests = Requests.of_baskets(shop.log, shop.split.test_baskets(shop.log))
    with pytest.raises(ValueError, match=r"^target must be one that the model has, items, inputs, got 'text'"):
        robustness_table(scorer, shop.log, requests, Protocol(), replace(OPTIONS, target="text"))
    with pytest.raises(ValueError, match=r"at least one request in the test part, got none"):
        robustness_table(scorer, shop.log, requests[:0], Protocol(), OPTIONS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": (0.1, 0.0)}, r"sizes: each entry must be above 0, got \[0\.1, 0\.0\]"),
        ({"shares": (1.5,)}, r"shares: each entry must lie in \(0, 1\], got \[1\.5\]"),
        ({"max_requests": 0}, r"max_requests must be at least 1, got 0"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(OPTIONS, **options)
