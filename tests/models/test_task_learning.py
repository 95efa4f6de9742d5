"""Tests that heads learn planted signals and refuse unsuitable data."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hashed_reader import HashedReader
from small_shop import Shop
from task_cases import OPTIONS, WIDTH, head_of, make_case
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.labels.base import bind_all
from seasonrec.batches.labels.demand import Demand
from seasonrec.batches.requests import Requests
from seasonrec.models.scoring import ScoredItems
from seasonrec.models.task.base import TaskFeatures, TaskHead
from seasonrec.models.task.category import CategoryHead
from seasonrec.models.task.demand import DemandHead
from seasonrec.models.task.next_basket import NextBasketHead
from seasonrec.models.task.purchase import PurchaseHead
from seasonrec.models.task.search import SearchHead
from seasonrec.models.task.spend import SpendHead
from seasonrec.models.task.time_to_next import TimeToNextHead
from seasonrec.models.task.user_match import UserMatchHead


@pytest.fixture(autouse=True)
def hashed_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seasonrec.models.task.search.TextReader", HashedReader)


def planted(batch: SequenceBatch, num_items: int) -> Tensor:
    """Returns ``(N, 16)`` queries that contain the answer among noise: the task's labels, else the basket."""
    draw = torch.Generator().manual_seed(0)
    query = 0.1 * torch.randn(batch.num_requests, WIDTH, generator=draw)
    meaning = torch.randn(num_items, WIDTH, generator=draw)
    for label in batch.labels.values():
        if hasattr(label, "items"):
            query.index_add_(0, label.request, meaning[label.items])
        for value in vars(label).values():
            if value.shape[:1] == (len(query),):
                logs = value.reshape(len(query), -1).float().clamp(min=0.1).log()  # (N, K)
                query += (logs - logs.mean(0)) @ torch.randn(logs.shape[1], WIDTH, generator=draw)
    if not batch.labels:
        query.index_add_(0, batch.target_request, meaning[batch.target_items])
    return query


@pytest.mark.parametrize("option", OPTIONS)
def test_a_head_learns_what_its_query_contains(shop: Shop, option: str) -> None:
    """Checks that the loss is well below that of the same head without a query, which predicts a constant at best."""
    head: TaskHead = head_of(option)(facts=shop.facts(WIDTH))
    if head.is_series or not list(head.parameters()):
        pytest.skip("a series need not read the query" if head.is_series else "it has no weights of its own")
    learnt, constant = (trained_loss(shop, option, scale) for scale in (1.0, 0.0))
    assert learnt < 0.85 * constant, "the head does not learn from its query; planted() shows what the query contains"


def trained_loss(shop: Shop, option: str, scale: float) -> float:
    torch.manual_seed(0)
    case = make_case(shop, option)
    builder = case.builder()
    batch = builder(Requests.of_baskets(shop.log, shop.split.train_baskets(shop.log)[::5]))
    head: TaskHead = head_of(option)(facts=shop.facts(WIDTH))
    vectors = nn.Parameter(0.1 * torch.randn(shop.log.num_items, WIDTH))
    items, level = ScoredItems(vectors, None, len(vectors)), torch.zeros(batch.num_requests, len(vectors))
    features = TaskFeatures(scale * planted(batch, len(vectors)), items, lambda _: torch.empty(0), lambda: level)
    optimizer = torch.optim.Adam([*head.parameters(), vectors], 0.02)
    for _ in range(60):
        loss = head(features, batch, batch.context).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    head.eval()
    output = head(features, batch, batch.context)
    return output.loss.item() - (spread(output.truth) if option == "user_match" else 0.0)


def spread(gains: Tensor) -> float:
    """Returns the smallest possible cross-entropy: the entropy of the target."""
    return torch.distributions.Categorical(gains).entropy().mean().item()


@pytest.mark.parametrize("loss", ["mse", "poisson"])
def test_demand_learns_the_calendar_of_a_category(shop: Shop, loss: Any) -> None:
    """Lets each category sell on its own weekday, so that only category and day together predict the sales."""
    losses = []
    for scale in (1.0, 0.0):
        torch.manual_seed(0)
        head = DemandHead(loss=loss, facts=shop.facts(WIDTH))
        builder = shop.builder({context.name: context for context in head.reads})
        builder.labels = bind_all({"demand": head.label}, shop.log, shop.split.cuts)
        batch = builder(Requests.of_baskets(shop.log, shop.split.train_baskets(shop.log)[200::5]))
        batch = replace(batch, labels={"demand": on_its_weekday(batch)})
        vectors = scale * torch.randn(shop.log.num_items, WIDTH)
        items = ScoredItems(vectors, None, len(vectors))
        nothing = torch.zeros(batch.num_requests, WIDTH)
        features = TaskFeatures(nothing, items, lambda _: torch.empty(0), lambda: torch.empty(0))
        optimizer = torch.optim.Adam(head.parameters(), 0.02)
        for _ in range(80):
            value = head(features, batch, batch.context).loss
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
        losses.append(head.eval()(features, batch, batch.context).loss.item())
    assert losses[0] < 0.5 * losses[1]


def on_its_weekday(batch: SequenceBatch) -> Demand:
    label: Demand = batch.labels["demand"]
    weekday = batch.context["calendar"].weekday[label.first]
    return replace(label, counts=3.0 + 20.0 * (weekday[:, None] % 6 == torch.arange(label.counts.shape[1])))


def spec_without(shop: Shop, **facts: Any) -> Any:
    whole = shop.facts(WIDTH)
    return replace(whole, spec=replace(whole.spec, **facts))


REFUSED: list[tuple[Callable[..., nn.Module], dict[str, Any], dict[str, Any], str]] = [
    (CategoryHead, {}, {"num_categories": 1}, "task=category needs items of at least 2 categories, got 1; name their"),
    (SpendHead, {}, {"has_value": False}, "task=spend needs events with a value, and the data has none; name their"),
    (
        SearchHead,
        {},
        {"num_categories": 1, "has_text": False},
        "task=search builds queries .* the items have neither; name their columns",
    ),
    (SearchHead, {"max_words": 0}, {}, r"task\.search\.max_words must be at least 1, got 0; try 6"),
    (
        DemandHead,
        {},
        {"num_categories": 1},
        "task.demand.of=category needs .* categories, got 1; .*set task.demand.of=it",
    ),
    (DemandHead, {"of": "shop"}, {}, "task.demand.of must be item or category, got 'shop'; try category"),
    (DemandHead, {"loss": "mae"}, {}, "task.demand.loss must be mse or poisson, got 'mae'; try mse"),
    (DemandHead, {"num_weeks": 0}, {}, "task.demand.num_weeks must be at least 1, got 0"),
    (
        NextBasketHead,
        {"loss": "mse"},
        {},
        "task.next_basket.loss must be softmax or multi_label, got 'mse'; try softmax",
    ),
    (PurchaseHead, {"num_negatives": 0}, {}, "task.purchase.num_negatives must be at least 1, got 0; try 4"),
    (PurchaseHead, {"popularity_power": -1}, {}, "task.purchase.popularity_power must be at least 0, got -1; try 0"),
    (
        TimeToNextHead,
        {"distribution": "cox"},
        {},
        "distribution must be log_normal or weibull, got 'cox'; try log_norm",
    ),
    (SpendHead, {"prior_baskets": 0}, {}, "task.spend.prior_baskets must be above 0, got 0; try 2"),
    (TimeToNextHead, {"prior_visits": -1}, {}, "task.time_to_next.prior_visits must be above 0, got -1; try 2"),
    (UserMatchHead, {"days": 0}, {}, "task.user_match.days must be above 0, got 0"),
]


@pytest.mark.parametrize(("head", "options", "facts", "message"), REFUSED)
def test_unsuitable_data_and_options_are_refused(shop: Shop, head: Any, options: Any, facts: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        head(**options, facts=spec_without(shop, **facts))


def test_search_without_queries_is_refused(shop: Shop) -> None:
    whole = shop.facts(WIDTH)
    unnamed = replace(whole, item_category_names=("",) * len(whole.item_texts))
    with pytest.raises(ValueError, match=r"task=search needs at least 2 queries.*got \[\].*lower task.se"):
        SearchHead(min_items=99, facts=unnamed)


def test_search_needs_no_texts_if_there_are_categories(shop: Shop) -> None:
    assert len(SearchHead(facts=spec_without(shop, has_text=False)).text_vectors) > 1


def test_demand_by_item_needs_no_categories(shop: Shop) -> None:
    assert DemandHead("item", facts=spec_without(shop, num_categories=1)).kind == "amount"
