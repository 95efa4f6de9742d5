"""Tests of the losses of amounts against hand-written formulas and other libraries."""

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hashed_reader import HashedReader
from small_shop import Shop
from task_cases import WIDTH, features_of, make_case

from seasonrec.batches.labels.base import bind_all
from seasonrec.batches.requests import Requests
from seasonrec.models.calendar_features import CalendarFeatures
from seasonrec.models.season.calendar import CalendarSeason
from seasonrec.models.task.base import TaskFeatures
from seasonrec.models.task.demand import DemandHead, poisson_deviance, squared_log_error
from seasonrec.models.task.spend import pinball, quantiles
from seasonrec.models.task.time_to_next import SHORTEST_DAYS


@pytest.fixture(autouse=True)
def hashed_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seasonrec.models.task.search.TextReader", HashedReader)


def test_pinball_by_hand() -> None:
    forecast, truth = torch.tensor([[1.0, 2.0, 4.0], [0.0, 5.0, 6.0]]), torch.tensor([3.0, 0.5])
    first = (0.1 * 2 + 0.5 * 1 + 0.1 * 1) / 3
    second = (0.1 * 0.5 + 0.5 * 4.5 + 0.1 * 5.5) / 3
    assert pinball(forecast, truth).tolist() == pytest.approx([first, second])


def test_spend_starts_from_the_usual_and_ignores_unknown_values(shop: Shop) -> None:
    case = make_case(shop, "spend")
    batch = case.builder()(shop.some_requests(12))
    usual = torch.distributions.Normal(*batch.labels["spend"].usual)
    expected = usual.icdf(torch.tensor([0.1, 0.5, 0.9]))
    torch.testing.assert_close(
        quantiles(torch.zeros(1, 3), *batch.labels["spend"].usual[:, None])[0], expected, rtol=0, atol=1e-3
    )
    whole = case.output(batch)
    by_hand = pinball(whole.prediction.log1p(), whole.truth.log1p())
    assert (whole.prediction > 0).all()
    assert whole.loss.item() == pytest.approx(by_hand.mean().item(), rel=1e-4)
    known = torch.ones(12, dtype=torch.bool)
    known[[2, 5]] = False
    some = case.output(replace(batch, labels={"spend": replace(batch.labels["spend"], known=known)}))
    kept = [row for row in range(12) if row not in (2, 5)]
    assert torch.equal(some.prediction, whole.prediction[kept])
    assert some.loss.item() == pytest.approx(by_hand[kept].mean().item(), rel=1e-4)


@pytest.mark.parametrize("distribution", ["log_normal", "weibull"])
def test_the_censored_likelihood_equals_that_of_torch(shop: Shop, distribution: Any) -> None:
    case = make_case(shop, "time_to_next")
    case.head.distribution = distribution
    with torch.no_grad():
        case.head.net[-1].weight.mul_(0.1)  # keeps torch's survival probability above 0
    builder = case.builder()
    batch = builder(Requests.of_baskets(shop.log, np.arange(0, shop.log.num_baskets, 7)))
    label = batch.labels["time_to_next"]
    assert label.censored.any()
    assert not label.censored.all()
    output, features = case.output(batch), features_of(case, batch)
    mean, spread, own = case.head.own(batch.context, label.usual)
    if distribution == "weibull":  # location and scale of a Gumbel minimum with this mean and spread
        spread = spread * 6**0.5 / math.pi
        mean = mean - torch.special.digamma(torch.tensor(1.0)) * spread
    raw = case.head.net(torch.cat([features.query, own], dim=1)).double()
    location = mean + spread * raw[:, 0]
    scale = spread * torch.exp(3 * torch.tanh(raw[:, 1] / 3))
    if distribution == "log_normal":
        reference: Any = torch.distributions.LogNormal(location, scale)
    else:
        reference = torch.distributions.Weibull(location.exp(), 1 / scale)
    days = label.days.double().clamp(min=SHORTEST_DAYS)
    expected = torch.where(label.censored, -torch.log1p(-reference.cdf(days)), -reference.log_prob(days))
    assert output.loss.item() == pytest.approx(expected.mean().item(), rel=1e-5)
    levels = torch.tensor([[0.1], [0.5], [0.9]], dtype=torch.float64)
    torch.testing.assert_close(output.prediction.double(), reference.icdf(levels).T, rtol=1e-4, atol=1e-5)
    assert output.censored is not None
    assert torch.equal(output.censored, label.censored)


def test_a_far_too_short_forecast_has_a_finite_gradient() -> None:
    from seasonrec.models.task.time_to_next import _weibull

    location = torch.tensor([-100.0], requires_grad=True)
    for censored in (True, False):
        loss = _weibull(torch.tensor([30.0]), torch.tensor([censored]), location, torch.ones(1)).sum()
        (slope,) = torch.autograd.grad(loss, location)
        assert loss.isfinite()
        assert -math.inf < slope.item() < 0


def test_demand_losses_by_hand(shop: Shop) -> None:
    rate, truth = torch.tensor([0.5, 3.0, 900.0, 2.0]), torch.tensor([0.0, 5.0, 850.0, 2.0])
    nll = partial(torch.nn.functional.poisson_nll_loss, log_input=True, full=False, reduction="none")
    best = torch.where(truth > 0, truth - truth * truth.log(), 0.0)
    torch.testing.assert_close(poisson_deviance(rate.log(), truth), nll(rate.log(), truth) - best, rtol=1e-3, atol=1e-3)
    assert poisson_deviance(rate.log(), truth)[3].item() == pytest.approx(0.0, abs=1e-6)
    assert squared_log_error(rate.log1p(), truth)[1].item() == pytest.approx((math.log(4) - math.log(6)) ** 2, rel=1e-5)
    for loss in ("mse", "poisson"):
        case = make_case(shop, "demand")
        case.head.loss = loss
        output = case.output(case.builder()(shop.some_requests(30)))
        rate, truth = output.prediction, output.truth
        if loss == "mse":
            by_hand = (rate.log1p() - truth.log1p()).square().mean()
        else:
            by_hand = poisson_deviance(rate.log(), truth).mean()
        assert output.loss.item() == pytest.approx(by_hand.item(), rel=1e-3)


@pytest.mark.parametrize("of", ["item", "category"])
def test_demand_starts_from_the_mean_of_four_weeks(shop: Shop, of: Any) -> None:
    case = make_case(shop, "demand")
    head = DemandHead(of, facts=shop.facts(WIDTH)).eval()
    contexts = {context.name: context for context in head.reads}
    builder = shop.builder(contexts)
    builder.labels = bind_all({"demand": head.label}, shop.log, shop.split.cuts)
    batch = builder(shop.some_requests(30))
    sales, label = batch.context["weekly_sales"], batch.labels["demand"]
    items = case.model.read(batch).items
    output = head(
        TaskFeatures(torch.zeros(30, WIDTH), items, lambda _: torch.empty(0), lambda: torch.empty(0)),
        batch,
        batch.context,
    )
    expected, truth = [], []
    for row, request in enumerate(label.first.tolist()):
        at = int(sales.row[request])
        if label.known[row]:
            expected += sales.counts[at, :, :4].mean(1)[sales.sold[at]].tolist()
            truth += label.counts[row][sales.sold[at]].tolist()
    assert output.prediction.tolist() == pytest.approx(expected, abs=1e-4)
    assert output.truth.tolist() == truth


def test_demand_forecasts_some_days_in_training(shop: Shop) -> None:
    case = make_case(shop, "demand")
    case.head.days_at_once = 3
    batch = case.training_batch()
    days = int(batch.labels["demand"].known.sum())
    assert days > 3
    assert len(case.head.eval()._rows(batch.labels["demand"])) == days
    rows = case.head.train()._rows(batch.labels["demand"])
    assert len(rows.unique()) == len(rows) == 3
    assert batch.labels["demand"].known[rows].all()


def test_a_categorys_vector_is_the_mean_of_its_items_weighted_by_sales(shop: Shop) -> None:
    case = make_case(shop, "demand")
    items = case.model.read(case.training_batch()).items
    vectors, counts = case.head._vectors(items), shop.facts().item_train_counts + 1
    for category in range(shop.spec.num_categories):
        own = torch.from_numpy(shop.log.item_categories == category)
        expected = (items.vectors[own] * counts[own, None]).sum(0) / counts[own].sum()
        torch.testing.assert_close(vectors[category], expected)


def test_demand_reads_the_features_of_the_calendar_season(shop: Shop) -> None:
    season, case = CalendarSeason(facts=shop.facts()), make_case(shop, "demand")
    case.head.day.load_state_dict(CalendarFeatures(shop.spec).state_dict())
    batch = case.training_batch()
    rows = batch.labels["demand"].first[case.head._rows(batch.labels["demand"])]
    seen: list[torch.Tensor] = []
    case.head.from_day.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    case.output(batch)
    torch.testing.assert_close(seen[0], season.features(batch.context["calendar"])[rows])
    assert len(rows) > 3
