"""Tests of the contrastive task against its formula, written pair by pair."""

from dataclasses import replace
from math import exp, log

import pytest
import torch
from small_shop import MAX_SEQ_LEN, Shop
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.horizon import ROLLING
from seasonrec.batches.loader import LoaderOptions, TrainingLoader
from seasonrec.config import build, compose
from seasonrec.config.schema import RunConfig
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.models.scoring import ScoredItems
from seasonrec.models.task.base import TaskFeatures, TaskOutput
from seasonrec.models.task.contrastive import ContrastiveHead, last_requests, view_scores

PARTS = ("item_encoder", "backbone", "temporal", "habit", "head")
PLAIN = ["item_encoder=id", "season=[]", "habit=none", "task=[contrastive]"]


@pytest.fixture(scope="module")
def batch(shop: Shop) -> SequenceBatch:
    baskets = shop.split.train_baskets(shop.log)
    return next(iter(TrainingLoader(shop.builder({}), baskets, LoaderOptions(batch_size=60), ROLLING, seed=3)))


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return compose(PLAIN)


@pytest.fixture
def model(shop: Shop, config: RunConfig) -> SeasonalRecommender:
    torch.manual_seed(0)
    parts = {slot: build(getattr(config, slot)) for slot in PARTS}
    task = {name: build(node) for name, node in config.task.items()}
    return SeasonalRecommender(**parts, task=task, facts=shop.facts())


def said(model: SeasonalRecommender, batch: SequenceBatch) -> TaskOutput:
    return model.tasks_of(model.read(batch), batch)["contrastive"]


def info_nce(vectors: list[list[float]], users: list[int], temperature: float) -> float:
    """Computes the loss of CL4SRec with cosines over a temperature, one pair of views at a time."""
    count = len(users)

    def score(a: int, b: int) -> float:
        dot = sum(x * y for x, y in zip(vectors[a], vectors[b], strict=True))
        lengths = [sum(x * x for x in vectors[view]) ** 0.5 for view in (a, b)]
        return dot / lengths[0] / lengths[1] / temperature

    losses = []
    for view in range(2 * count):
        other = view + count if view < count else view - count
        against = [v for v in range(2 * count) if users[v % count] != users[view % count]]
        total = exp(score(view, other)) + sum(exp(score(view, negative)) for negative in against)
        losses.append(-log(exp(score(view, other)) / total))
    return sum(losses) / len(losses)


def read_as(vectors: Tensor) -> tuple[TaskFeatures, list[SequenceBatch]]:
    """Returns features with given vectors for the first and the second view."""
    seen: list[SequenceBatch] = []

    def read(view: SequenceBatch) -> Tensor:
        seen.append(view)
        return vectors.chunk(2)[len(seen) - 1]

    return TaskFeatures(
        torch.zeros(3, 4, requires_grad=True), ScoredItems(torch.zeros(1, 4), None, 1), read, lambda: torch.empty(0)
    ), seen


@pytest.mark.parametrize("temperature", [0.1, 0.7])
def test_the_loss_equals_the_formula(shop: Shop, batch: SequenceBatch, temperature: float) -> None:
    asked = last_requests(batch)
    vectors = torch.randn(2 * asked.num_requests, 4, generator=torch.Generator().manual_seed(1))
    features, views = read_as(vectors)
    output = ContrastiveHead(temperature=temperature, facts=shop.facts())(features, batch, {})
    users = asked.user_ids.tolist()
    assert len(set(users)) < len(users), "some user has two windows"
    assert output.loss.item() == pytest.approx(info_nce(vectors.tolist(), users, temperature), rel=1e-5)
    assert len(views) == 2
    assert not torch.equal(views[0].item_ids, views[1].item_ids)


def test_the_ranking_finds_the_second_view(shop: Shop, batch: SequenceBatch) -> None:
    count = last_requests(batch).num_requests
    vectors = torch.randn(count, 4, generator=torch.Generator().manual_seed(1))
    features, _ = read_as(torch.cat([vectors, 3.0 * vectors]))
    output = ContrastiveHead(facts=shop.facts())(features, batch, {})
    assert output.prediction.shape == output.truth.shape == (count, count)
    assert (output.prediction.argmax(1) == torch.arange(count)).all()
    assert torch.equal(output.truth, torch.eye(count, dtype=torch.bool))
    users = last_requests(batch).user_ids
    same = (users[:, None] == users) & ~output.truth
    assert torch.equal(output.prediction == float("-inf"), same)
    assert not output.prediction.requires_grad


def test_views_of_a_single_user_have_no_loss() -> None:
    scores = view_scores(torch.randn(6, 4), torch.tensor([5, 5, 5]), 0.2)
    assert (scores.isfinite().sum(1) == 1).all()


def test_each_window_is_read_at_its_last_request(batch: SequenceBatch) -> None:
    asked = last_requests(batch)
    expected = []
    for window in range(len(batch.item_ids)):
        requests = [n for n in range(batch.num_requests) if batch.request_window[n] == window]
        last = max(requests, key=lambda n: int(batch.request_position[n]))
        if batch.request_position[last] > 0:
            expected.append((window, last))
    assert 0 < len(expected) < batch.num_requests
    for row, (window, request) in enumerate(expected):
        assert torch.equal(asked.item_ids[row], batch.item_ids[window])
        for name in ("request_position", "request_time_s", "user_ids", "basket_ids"):
            assert getattr(asked, name)[row] == getattr(batch, name)[request]
    assert asked.num_requests == len(asked.item_ids) == len(expected)
    assert asked.request_window.tolist() == list(range(len(expected)))


def test_training_draws_from_torch_and_evaluation_draws_no_random_numbers(
    model: SeasonalRecommender, batch: SequenceBatch
) -> None:
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    losses = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        losses.append(said(model, batch).loss.item())
    assert losses[0] == losses[1] != losses[2]
    model.eval()
    state = torch.get_rng_state()
    assert torch.equal(said(model, batch).loss, said(model, batch).loss)
    assert torch.equal(torch.get_rng_state(), state)


def test_gradients_reach_the_backbone_and_the_items(model: SeasonalRecommender, batch: SequenceBatch) -> None:
    output = said(model.train(), batch)
    output.loss.backward()
    assert output.loss.item() > 0
    for part in (model.backbone, model.item_encoder):
        assert any(p.grad is not None and bool(p.grad.any()) for p in part.parameters())


def test_bf16_autocast(model: SeasonalRecommender, batch: SequenceBatch) -> None:
    model.eval()
    expected = said(model, batch).loss
    with torch.autocast("cpu", torch.bfloat16):
        loss = said(model, batch).loss
    torch.testing.assert_close(loss, expected, rtol=0.05, atol=0.05)


def test_windows_without_history_have_no_loss(model: SeasonalRecommender, batch: SequenceBatch) -> None:
    fresh = replace(batch, request_position=torch.zeros_like(batch.request_position))
    output = said(model.train(), fresh)
    assert output.loss.item() == 0.0
    assert len(output.truth) == 0
    output.loss.backward()


def test_evaluation_with_a_window_for_each_request(model: SeasonalRecommender, shop: Shop) -> None:
    batch = shop.builder({}, MAX_SEQ_LEN)(shop.some_requests(9))
    output = said(model.eval(), batch)
    assert output.prediction.shape == (9, 9)
    assert output.loss.isfinite()


@pytest.mark.parametrize("name", ["crop", "mask", "reorder"])
def test_rates_out_of_range_are_refused(shop: Shop, name: str) -> None:
    with pytest.raises(ValueError, match=rf"task\.contrastive\.{name} must lie in \[0, 1\], got 1.2; try"):
        ContrastiveHead(**{name: 1.2}, facts=shop.facts())


def test_a_temperature_of_zero_is_refused(shop: Shop) -> None:
    with pytest.raises(ValueError, match=r"task.contrastive.temperature must be above 0, got 0.0; try 0.2"):
        ContrastiveHead(temperature=0.0, facts=shop.facts())
