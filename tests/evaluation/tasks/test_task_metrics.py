"""Metrics of the further tasks against values by hand and torchmetrics, and their evaluation on a part of the log."""

import math
from collections.abc import Collection
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from small_model import small_model
from small_shop import Shop
from torch import Tensor
from torchmetrics.functional.retrieval import retrieval_normalized_dcg, retrieval_recall

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.labels.base import bind_all
from seasonrec.batches.loader import BatchBuilder
from seasonrec.batches.requests import Requests
from seasonrec.batches.sharding import Shard
from seasonrec.data.calendar import local_days
from seasonrec.evaluation.tasks import evaluate as tasks
from seasonrec.evaluation.tasks import metrics as module
from seasonrec.evaluation.tasks.evaluate import evaluate_tasks
from seasonrec.evaluation.tasks.metrics import no_samples, ranked_gains, ranked_sets, samples, task_metrics
from seasonrec.models.habit.none import NoHabit
from seasonrec.models.recommender import Reading, SeasonalRecommender
from seasonrec.models.task.base import Kind, TaskOutput
from seasonrec.models.task.demand import DemandHead
from seasonrec.models.task.next_basket import NextBasketHead
from seasonrec.models.task.purchase import PurchaseHead
from seasonrec.models.task.time_to_next import TimeToNextHead
from seasonrec.models.task.user_match import UserMatchHead

DRAW = torch.Generator().manual_seed(0)
ZERO = torch.zeros(())


def metrics_of(kind: Any, prediction: Tensor, truth: Tensor, censored: Tensor | None = None) -> dict[str, float]:
    return task_metrics(kind, samples(kind, TaskOutput(ZERO, prediction, truth, censored)))


def test_binary_by_hand() -> None:
    logits = torch.randn(60, generator=DRAW).mul(2).round(decimals=1)
    truth = (torch.rand(60, generator=DRAW) < torch.sigmoid(logits)).float()
    found = metrics_of("binary", logits, truth)
    bought, rest = logits[truth == 1], logits[truth == 0]
    pairs = (bought[:, None] > rest).float() + 0.5 * (bought[:, None] == rest).float()
    assert found["auc"] == pytest.approx(pairs.mean().item(), abs=1e-6)
    yes = logits > 0
    hits = (yes & (truth == 1)).sum().item()
    precision, recall = hits / yes.sum().item(), hits / truth.sum().item()
    assert found["f1"] == pytest.approx(2 * precision * recall / (precision + recall))
    assert found["accuracy"] == pytest.approx((yes == (truth == 1)).float().mean().item())
    assert found["prevalence"] == pytest.approx(truth.mean().item())
    assert found["samples"] == 60
    gain, before = 0.0, 0.0
    for threshold in sorted(set(logits.tolist()), reverse=True):
        taken = logits >= threshold
        reached = (truth[taken].sum() / truth.sum()).item()
        gain += (reached - before) * truth[taken].mean().item()
        before = reached
    assert found["average_precision"] == pytest.approx(gain, abs=1e-5)


def test_calibration_is_the_distance_of_probability_and_frequency() -> None:
    probability = torch.tensor([0.2, 0.2, 0.2, 0.2, 0.9, 0.9])
    truth = torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    found = metrics_of("binary", torch.logit(probability), truth)
    assert found["calibration_error"] == pytest.approx(4 / 6 * abs(0.25 - 0.2) + 2 / 6 * abs(0.5 - 0.9), abs=1e-6)


def test_logits_between_zero_and_one_are_logits() -> None:
    """Checks logits between 0 and 1, which torchmetrics would take for probabilities."""
    found = metrics_of("binary", torch.tensor([0.2, 0.4, -0.1]), torch.tensor([1.0, 1.0, 0.0]))
    assert found["accuracy"] == 1.0


def test_one_class_alone_has_no_auc() -> None:
    found = metrics_of("binary", torch.tensor([0.2, 0.4]), torch.ones(2))
    assert "auc" not in found
    assert "average_precision" not in found
    assert found["accuracy"] == 1.0


def test_amounts_by_hand() -> None:
    truth = torch.tensor([0.0, 2.0, 10.0, 4.0])
    forecast = torch.tensor([[0.0, 1.0, 2.0], [1.0, 4.0, 5.0], [1.0, 7.0, 9.0], [2.0, 4.0, 8.0]])
    found = metrics_of("amount", forecast, truth)
    assert found["mae"] == pytest.approx((1 + 2 + 3 + 0) / 4)
    assert found["wape"] == pytest.approx(6 / 16)
    assert found["mae_constant"] == pytest.approx((2 + 0 + 8 + 2) / 4)
    logs = [math.log(2) - math.log(1), math.log(5) - math.log(3), math.log(8) - math.log(11), 0.0]
    assert found["rmsle"] == pytest.approx((sum(log * log for log in logs) / 4) ** 0.5)
    assert found["pinball@0.1"] == pytest.approx(0.1 * (0 + 1 + 9 + 2) / 4)
    assert found["pinball@0.5"] == pytest.approx(0.5 * 6 / 4)
    assert found["pinball@0.9"] == pytest.approx((0.1 * (2 + 3 + 4) + 0.9 * 1) / 4)
    assert found["pinball"] == pytest.approx(np.mean([found[f"pinball@{q}"] for q in (0.1, 0.5, 0.9)]))
    assert found["coverage@0.8"] == pytest.approx(3 / 4)
    assert "censored" not in found
    plain = metrics_of("amount", forecast[:, 1], truth)
    assert plain == {name: found[name] for name in ("samples", "mae", "mae_constant", "rmsle", "wape", "pinball@0.5")}


def test_censored_amounts_are_left_out_and_counted() -> None:
    truth = torch.tensor([1.0, 2.0, 3.0, 9.0])
    forecast = torch.tensor([2.0, 2.0, 2.5, 4.0])
    found = metrics_of("amount", forecast, truth, torch.tensor([False, False, True, True]))
    assert found["mae"] == pytest.approx(0.5)
    assert (found["samples"], found["censored"], found["censored_below"]) == (4, 2, 1.0)
    assert metrics_of("amount", forecast, truth, torch.ones(4, dtype=torch.bool)).keys() == {
        "samples",
        "censored",
        "censored_below",
    }


def test_concordance_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    days = torch.randint(1, 12, (50,), generator=DRAW).float()
    forecast = (days + 6 * torch.randn(50, generator=DRAW)).round().clamp(min=0)
    censored = torch.rand(50, generator=DRAW) < 0.4
    pairs = agreeing = 0.0
    for one in range(50):
        for other in range(50):
            known_later = days[other] > days[one] or (days[other] == days[one] and bool(censored[other]))
            if not censored[one] and known_later and one != other:
                pairs += 1
                agreeing += 1.0 if forecast[other] > forecast[one] else 0.5 * float(forecast[other] == forecast[one])
    found = metrics_of("amount", forecast, days, censored)["concordance"]
    assert found == pytest.approx(agreeing / pairs)
    monkeypatch.setattr(module, "COMPARED", 20)
    assert metrics_of("amount", forecast, days, censored)["concordance"] == pytest.approx(found, abs=0.2)


def test_sets_are_ranked_as_torchmetrics_ranks_them() -> None:
    scores, truth = torch.randn(20, 40, generator=DRAW), torch.rand(20, 40, generator=DRAW) < 0.2
    truth[:, 0] = True
    scores[:, 30:] = scores[:, 30:].masked_fill(~truth[:, 30:], -math.inf)
    recall, ndcg = ranked_sets(scores, truth)
    for row in range(20):
        low = scores[row].clamp(min=-50)
        assert recall[row] == pytest.approx(retrieval_recall(low, truth[row], top_k=10).item(), abs=1e-6)
        assert ndcg[row] == pytest.approx(retrieval_normalized_dcg(low, truth[row], top_k=10).item(), abs=1e-6)


def test_gains_are_ranked_as_torchmetrics_ranks_them() -> None:
    scores, gains = torch.randn(20, 40, generator=DRAW), torch.rand(20, 40, generator=DRAW)
    gains[:, 7:] *= (torch.rand(20, 33, generator=DRAW) < 0.3).float()
    gains[3, 4:] = 0.0
    recall, ndcg = ranked_gains(scores, gains)
    for row in range(20):
        assert ndcg[row] == pytest.approx(retrieval_normalized_dcg(scores[row], gains[row], top_k=10).item(), abs=1e-5)
        number = min(10, int((gains[row] > 0).sum()))
        best, first = (set(values.topk(k).indices.tolist()) for values, k in ((gains[row], number), (scores[row], 10)))
        assert recall[row] == pytest.approx(len(best & first) / number)


def test_level_scores_of_gains_are_taken_in_expectation() -> None:
    """Compares with the mean over many orders of the columns, which break ties differently."""
    scores = torch.randint(0, 4, (3, 25), generator=DRAW).float()
    scores[2] = -1.0  # all equal
    gains = torch.rand(3, 25, generator=DRAW) * (torch.rand(3, 25, generator=DRAW) < 0.5)
    found = np.array(ranked_gains(scores, gains))
    orders = [torch.randperm(25, generator=DRAW) for _ in range(4000)]
    apart = torch.linspace(0, 1e-4, 25)
    drawn = np.mean([ranked_gains(scores[:, order] + apart, gains[:, order]) for order in orders], axis=0)
    assert np.abs(found - drawn).max() < 0.01
    for order in orders[:5]:
        assert np.allclose(ranked_gains(scores[:, order], gains[:, order]), found)


def test_gains_level_with_the_last_of_ten_will_do() -> None:
    gains = torch.ones(1, 30)
    recall, ndcg = ranked_gains(torch.randn(1, 30, generator=DRAW), gains)
    assert (recall[0], ndcg[0]) == (1.0, pytest.approx(1.0))
    few = torch.tensor([[0.5, 0.0, 0.1]])
    recall, ndcg = ranked_gains(torch.tensor([[3.0, -math.inf, 1.0]]), few)
    assert (recall[0], ndcg[0]) == (1.0, pytest.approx(1.0))


@pytest.mark.parametrize("kind", ["binary", "amount", "ranking"])
def test_a_start_has_the_metrics_of_a_prediction(kind: Kind) -> None:
    """Swaps prediction and baseline between two halves of the samples, so that both have the same metrics."""
    truth = {"binary": torch.rand(40, generator=DRAW).round(), "amount": 9 * torch.rand(40, generator=DRAW)}.get(kind)
    one, other = (torch.rand(40, generator=DRAW) for _ in range(2))
    if truth is None:
        truth = torch.rand(40, 30, generator=DRAW) < 0.2
        one, other = (torch.rand(40, 30, generator=DRAW) for _ in range(2))
    halves = [
        samples(kind, TaskOutput(ZERO, one[:20], truth[:20], start=other[:20])),
        samples(kind, TaskOutput(ZERO, other[20:], truth[20:], start=one[20:])),
    ]
    found = task_metrics(kind, pl.concat([no_samples(kind), *halves]))
    start = {name.removeprefix("start_"): value for name, value in found.items() if name.startswith("start_")}
    first = task_metrics(kind, pl.concat([samples(kind, TaskOutput(ZERO, said, truth)) for said in (one, other)]))
    assert start.keys() == first.keys() - {"samples", "prevalence", "mae_constant"}
    mixed = task_metrics(kind, samples(kind, TaskOutput(ZERO, torch.cat([other[:20], one[20:]]), truth)))
    assert start == {name: pytest.approx(mixed[name]) for name in start}
    assert start != {name: pytest.approx(found[name]) for name in start}


def test_nothing_has_no_metrics() -> None:
    for kind in ("binary", "amount", "ranking"):
        assert task_metrics(kind, no_samples(kind)) == {"samples": 0.0}


# Over a part of the log


@pytest.fixture(scope="module")
def model(shop: Shop) -> SeasonalRecommender:
    heads = {"purchase": PurchaseHead, "demand": DemandHead, "user_match": UserMatchHead}
    heads |= {"next_basket": NextBasketHead, "time_to_next": TimeToNextHead}
    return small_model(shop, season={}, habit=NoHabit, task=heads)


@pytest.fixture(scope="module")
def builder(shop: Shop, model: SeasonalRecommender) -> BatchBuilder:
    contexts = {name: context.bind(shop.log, shop.spec) for name, context in model.contexts().items()}
    return BatchBuilder(shop.log, contexts, 12, bind_all(model.labels(), shop.log, shop.split.cuts))


@pytest.fixture(scope="module")
def requests(shop: Shop) -> Requests:
    return Requests.of_baskets(shop.log, shop.split.test_baskets(shop.log))


def test_every_task_is_evaluated_over_all_it_is_asked(
    shop: Shop, model: SeasonalRecommender, builder: BatchBuilder, requests: Requests
) -> None:
    model.train()
    found = evaluate_tasks(model, builder, requests, 32, "cpu")
    assert not model.training
    assert list(found) == list(model.task)
    days = np.unique(local_days(requests.times_s, shop.log.timezone), return_index=True)[1]
    batch = builder(requests[days])
    told = batch.labels["demand"]
    sold = batch.context["weekly_sales"].sold[batch.context["weekly_sales"].row[told.first[told.known]]]
    assert found["demand"]["samples"] == sold.sum(), "once per day"
    assert found["next_basket"]["samples"] == found["time_to_next"]["samples"] == len(requests)
    assert found["user_match"]["samples"] == len(np.unique(requests.users)), "once per user"
    assert found["time_to_next"]["censored"] > 0
    assert all(math.isfinite(value) for values in found.values() for value in values.values())


def test_next_basket_of_all_requests_in_one_batch(
    model: SeasonalRecommender, builder: BatchBuilder, requests: Requests
) -> None:
    model.eval()
    batch = builder(requests)
    output = model.tasks_of(model.read(batch), batch)["next_basket"]
    found = evaluate_tasks(model, builder, requests, 32, "cpu")["next_basket"]
    assert output.start is not None
    own, start = (metrics_of("ranking", said, output.truth) for said in (output.prediction, output.start))
    expected = own | {f"start_{name}": value for name, value in start.items() if name != "samples"}
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("world_size", [2, 7])
def test_several_processes_find_what_one_finds(
    model: SeasonalRecommender,
    builder: BatchBuilder,
    requests: Requests,
    world_size: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Compares to the last bit; ``tests/test_evaluate.py`` covers the exchange between processes."""
    alone = evaluate_tasks(model, builder, requests, 32, "cpu")
    assert evaluate_tasks(model, builder, requests, 32, "cpu") == alone
    given: list[list[pl.DataFrame]] = []
    for rank in range(world_size):
        own: list[pl.DataFrame] = []

        def keep(frame: pl.DataFrame, shard: Shard, own: list[pl.DataFrame] = own) -> pl.DataFrame:
            own.append(frame)
            return frame

        monkeypatch.setattr(tasks, "gather_rows", keep)
        evaluate_tasks(model, builder, requests, 32, "cpu", Shard(rank, world_size))
        given.append(own)
    exchanged = iter([pl.concat(frames) for frames in zip(*given, strict=True)])
    monkeypatch.setattr(tasks, "gather_rows", lambda frame, shard: next(exchanged))
    assert evaluate_tasks(model, builder, requests, 32, "cpu", Shard(1, world_size)) == alone


def test_of_many_users_some_are_compared(
    model: SeasonalRecommender, builder: BatchBuilder, requests: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "MATCHED_USERS", 9)
    assert evaluate_tasks(model, builder, requests, 32, "cpu")["user_match"]["samples"] == 9


def test_each_pass_asks_its_own_heads_alone(
    model: SeasonalRecommender, builder: BatchBuilder, requests: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checks the pass of users, one large batch in which heads over the catalogue would take too much memory."""
    passes: list[tuple[int, set[str]]] = []
    ask = model.tasks_of

    def noting(reading: Reading, batch: SequenceBatch, names: Collection[str] | None = None) -> dict[str, TaskOutput]:
        said = ask(reading, batch, names)
        passes.append((batch.num_requests, set(said)))
        return said

    monkeypatch.setattr(model, "tasks_of", noting)
    evaluate_tasks(model, builder, requests, 8, "cpu")
    assert {name for size, names in passes if size > 8 for name in names} == {"user_match"}
    assert {frozenset(names) for _, names in passes} == {
        frozenset({"user_match"}), frozenset({"demand"}), frozenset(set(model.task) - {"user_match", "demand"})
    }  # fmt: skip


def test_a_model_without_further_tasks_has_no_metrics(shop: Shop, builder: BatchBuilder, requests: Requests) -> None:
    assert evaluate_tasks(small_model(shop, season={}, habit=NoHabit), builder, requests, 32, "cpu") == {}
