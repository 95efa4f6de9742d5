"""Contract tests of every task head; a new file under conf/task is tested automatically."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from hashed_reader import HashedReader
from small_shop import Shop
from task_cases import OPTIONS, WIDTH, Case, head_of, make_case

from seasonrec.batches.audit import replace_future
from seasonrec.batches.requests import Requests
from seasonrec.batches.sampling import NegativeSampler
from seasonrec.data.calendar import local_days
from seasonrec.models.context_use import check_contexts
from seasonrec.models.task.base import Kind
from seasonrec.training.checkpointing.weights import load_weights, save_weights

every_task = pytest.mark.parametrize("option", OPTIONS)


@pytest.fixture(autouse=True)
def hashed_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seasonrec.models.task.search.TextReader", HashedReader)


@pytest.fixture(scope="module")
def cases(shop: Shop) -> Iterator[dict[str, Case]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seasonrec.models.task.search.TextReader", HashedReader)
        yield {option: make_case(shop, option) for option in OPTIONS}


@pytest.fixture
def case(cases: dict[str, Case], option: str) -> Case:
    return cases[option]


@every_task
def test_samples_have_the_form_of_their_kind(case: Case) -> None:
    output = case.output(case.training_batch())
    prediction, truth, kind = output.prediction, output.truth, case.head.kind
    assert kind in get_args(Kind)
    assert output.loss.shape == ()
    assert output.loss.isfinite()
    assert len(prediction) == len(truth) > 0
    assert not prediction.requires_grad
    if kind == "ranking":
        assert prediction.shape == truth.shape
        assert (truth > 0).any(1).all()
        assert (prediction > -math.inf)[truth > 0].all(), "relevant items are candidates"
        assert not (prediction.isnan() | (prediction == math.inf)).any()
    else:
        assert truth.ndim == 1
        assert prediction.isfinite().all()
        assert (truth >= 0).all()
    if output.start is not None:
        assert output.start.shape == prediction.shape
        assert not output.start.requires_grad
        assert not (output.start.isnan() | (output.start == math.inf)).any()
        assert torch.equal(output.start == -math.inf, prediction == -math.inf)
    if kind == "binary":
        assert set(truth.tolist()) <= {0.0, 1.0}
    if kind == "amount" and prediction.ndim == 2:
        assert (prediction.diff(dim=1) >= 0).all(), "quantiles never cross"


@pytest.mark.parametrize("option", ["next_basket", "purchase", "demand", "spend", "time_to_next"])
@pytest.mark.parametrize("sampled", [False, True])
def test_an_untrained_head_predicts_its_baseline(shop: Shop, option: str, sampled: bool) -> None:
    case = make_case(shop, option)
    case.model.task[option] = head_of(option)(facts=shop.facts(WIDTH)).eval()
    sampler = NegativeSampler.of(np.ones(shop.log.num_items), 6, 0.0) if sampled else None
    output = case.output(case.builder()(shop.some_requests(20), sampler=sampler, random=np.random.default_rng(0)))
    torch.testing.assert_close(output.prediction, output.start)


@every_task
def test_every_weight_of_the_head_and_the_shared_weights_get_a_gradient(case: Case) -> None:
    case.model.zero_grad()
    case.output(case.training_batch()).loss.backward()
    trained = {name: p for name, p in case.head.named_parameters() if p.requires_grad}
    assert not [name for name, p in trained.items() if p.grad is None or not p.grad.any()]
    shared = case.model.item_encoder if case.head.is_series else case.model.backbone
    assert any(p.grad is not None and bool(p.grad.any()) for p in shared.parameters())
    case.model.zero_grad()


@every_task
def test_saved_weights_give_the_same_output(case: Case, option: str, tmp_path: Path) -> None:
    save_weights(tmp_path / "model.safetensors", case.model)
    other = make_case(case.shop, option, seed=1)
    batch = case.training_batch()
    torch.manual_seed(0)
    expected = case.output(batch)
    assert other.output(batch).loss != expected.loss
    load_weights(tmp_path / "model.safetensors", other.model)
    torch.manual_seed(0)
    again = other.output(batch)
    assert torch.equal(again.loss, expected.loss)
    assert torch.equal(again.prediction, expected.prediction)


@every_task
def test_requests_alone_give_the_same_loss_as_in_a_batch(case: Case) -> None:
    if case.head.compares_users:
        pytest.skip("the other requests of a batch are its candidates")
    builder, requests = case.builder(), on_distinct_days(case.shop)
    together = case.output(builder(requests))
    alone = [case.output(builder(requests[row : row + 1])) for row in range(len(requests))]
    counts = torch.tensor([float(len(output.truth)) for output in alone])
    assert counts.sum() == len(together.truth)
    mean = (torch.stack([output.loss for output in alone]) * counts).sum() / counts.sum()
    torch.testing.assert_close(mean, together.loss, rtol=1e-5, atol=1e-5)


def on_distinct_days(shop: Shop) -> Requests:
    """Returns requests of different days, since a series has one sample per day."""
    requests = shop.some_requests(12)
    _, rows = np.unique(local_days(requests.times_s, shop.log.timezone), return_index=True)
    return requests[rows]


KEEPS_REQUESTS_WITHOUT_A_BASKET = ("contrastive", "time_to_next")
"""Tasks whose samples need no basket: two views of a history; a time that is censored."""


@every_task
def test_a_batch_without_samples_has_a_loss_of_zero(case: Case, option: str) -> None:
    """Asks for one user in the log's last second, so that nothing follows and no other user can be compared."""
    asked, end_s = case.shop.some_requests(3), np.full(3, case.shop.split.end_s - 1)
    asked = replace(asked, users=asked.users[[0, 0, 0]], times_s=end_s, known_until_s=end_s, baskets=np.full(3, -1))
    output = case.output(case.builder()(asked))
    assert output.loss.isfinite(), "a mean over no samples must be 0, see mean_of in models/task/candidates.py"
    if option not in KEEPS_REQUESTS_WITHOUT_A_BASKET:
        assert len(output.truth) == 0, "requests without a basket are no samples; if they are, name the task above"
        assert output.loss == 0
    output.loss.backward()
    case.model.zero_grad()


@every_task
def test_a_sample_of_the_whole_catalogue_gives_the_same_output(case: Case) -> None:
    builder, requests = case.builder(), case.shop.some_requests(20)
    sampler = NegativeSampler.of(np.ones(case.shop.log.num_items), 5000, 0.0)
    sampled = builder(requests, sampler=sampler, random=np.random.default_rng(0))
    assert sampled.sample is not None
    assert len(sampled.sample.negative_columns) == case.shop.log.num_items
    whole, output = case.output(builder(requests)), case.output(sampled)
    torch.testing.assert_close(output.loss, whole.loss, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(output.prediction, whole.prediction, rtol=1e-4, atol=1e-4)


@every_task
def test_a_small_sample_gives_a_finite_loss(case: Case) -> None:
    sampler = NegativeSampler.of(np.ones(case.shop.log.num_items), 6, 0.0)
    batch = case.builder()(case.shop.some_requests(6), sampler=sampler, random=np.random.default_rng(0))
    assert batch.sample is not None
    assert len(batch.sample.item_ids) < case.shop.log.num_items
    output = case.output(batch)
    assert output.loss.isfinite()
    output.loss.backward()
    case.model.zero_grad()


@every_task
def test_bf16_autocast(case: Case) -> None:
    batch = case.training_batch()
    torch.manual_seed(0)
    expected = case.output(batch).loss
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        loss = case.output(batch).loss
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected, rtol=0.05, atol=0.05)
    loss.backward()
    case.model.zero_grad()


@every_task
def test_contexts_and_labels_are_read_as_declared(case: Case) -> None:
    batch = case.training_batch()
    check_contexts(case.model, batch)
    assert set(batch.labels) == {labels.name for labels in case.head.labels}


@every_task
def test_evaluation_draws_no_random_numbers(case: Case) -> None:
    batch = case.training_batch()
    state = torch.get_rng_state()
    first, second = case.output(batch), case.output(batch)
    assert torch.equal(first.prediction, second.prediction)
    assert torch.equal(state, torch.get_rng_state())


@every_task
@pytest.mark.parametrize("season", ["[calendar]", "[]"])
def test_the_request_time_matters_only_through_the_season(shop: Shop, option: str, season: str) -> None:
    """Compares requests of one user with equal history and basket at two dates.

    The head's own context is held fixed, because it contains the time since the last basket.
    """
    case = make_case(shop, option, season=season)
    if case.head.compares_users or case.head.is_series:
        pytest.skip("one request has no candidates" if case.head.compares_users else "a series may read the date")
    batch, later = (case.builder()(one) for one in two_dates(shop))
    held = {context.name: batch.context[context.name] for context in case.head.reads}
    first = case.output(batch).prediction
    second = case.output(replace(later, context=later.context | held)).prediction
    available = (first > -math.inf) & (second > -math.inf)
    assert torch.equal(first[available], second[available]) == (season == "[]"), (
        "the date must change the prediction with a season and not without one; read it through features.query alone"
    )


def test_demand_reads_the_date_itself(shop: Shop) -> None:
    case = make_case(shop, "demand", season="[]")
    builder = case.builder()
    first, second = (builder(one) for one in two_dates(shop))
    held = replace(second, context=second.context | {"weekly_sales": first.context["weekly_sales"]})
    assert not torch.equal(case.output(first).prediction, case.output(held).prediction), "the calendar"
    held = replace(second, context=second.context | {"calendar": first.context["calendar"]})
    assert not torch.equal(case.output(first).prediction, case.output(held).prediction), "the recent series"


def two_dates(shop: Shop) -> list[Requests]:
    """Returns two times, weeks apart, between two baskets of one user; the truth is the second basket."""
    log = shop.log
    times_s = np.asarray(log.basket_times_s)
    until = np.flatnonzero(times_s < shop.split.validation_from_s)[1:]
    gaps = (times_s[until] - times_s[until - 1]) * (log.basket_users[until] == log.basket_users[until - 1])
    gaps = gaps * (times_s[until] > times_s.min() + 200 * 86_400)
    basket = int(until[gaps.argmax()])
    moments = times_s[basket - 1] + 3600 + np.array([0, gaps.max() // 3])
    user = np.array([log.basket_users[basket]], dtype=np.int64)
    return [Requests(user, moments[[i]], moments[[i]], np.array([basket])) for i in range(2)]


@every_task
def test_the_future_of_the_log_changes_no_prediction(case: Case) -> None:
    requests = case.shop.some_requests(10)
    builder, later = case.builder(), int(requests.known_until_s.max())
    changed = replace(case, shop=replace(case.shop, log=replace_future(case.shop.log, later)))
    batch, other = builder(requests), changed.builder()(requests)
    other = replace(other, labels=batch.labels, target_items=batch.target_items, target_request=batch.target_request)
    assert torch.equal(case.output(batch).prediction, case.output(other).prediction)
