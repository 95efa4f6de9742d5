"""Every loss against its formula, target by target; a new file under loss/ is tested automatically."""

import importlib
import inspect
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from small_runs import small_loader, small_model
from small_shop import Shop
from torch import Tensor

import seasonrec.training.loss
from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.batches.requests import Requests
from seasonrec.batches.sampling import NegativeSampler
from seasonrec.config import Composer, ConfTree, build, conf_dir
from seasonrec.models.habit.none import NoHabit
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.models.scoring import ScoredItems
from seasonrec.models.season.calendar import CalendarSeason
from seasonrec.models.season.last_year import LastYearSeason
from seasonrec.models.season.momentum import MomentumSeason
from seasonrec.training.loss import full_softmax
from seasonrec.training.loss.base import Loss
from seasonrec.training.loss.bce import BCE
from seasonrec.training.loss.bpr import BPR
from seasonrec.training.loss.full_softmax import FullSoftmax
from seasonrec.training.loss.gbce import GBCE
from seasonrec.training.loss.sampled_softmax import SampledSoftmax

OPTIONS = sorted(path.stem for path in (conf_dir() / "loss").glob("*.yaml"))


def plain_model(shop: Shop) -> SeasonalRecommender:
    """Returns a model whose scores are a product, as the sampled losses expect."""
    torch.manual_seed(0)
    model = small_model(shop, season={}, habit=NoHabit).eval()
    with torch.no_grad():
        model.item_encoder.vectors.weight.mul_(30.0)  # scores of order one
    return model


def sampled_batch(shop: Shop, model: SeasonalRecommender, sampler: NegativeSampler | None) -> SequenceBatch:
    batch = next(iter(small_loader(shop, model)))
    if sampler is None:
        return batch
    return replace(batch, sample=sampler.draw(batch.target_items.numpy(), np.random.default_rng(5)))


def loss_of(option: str, facts: Facts) -> Loss:
    return build(Composer(ConfTree.of()).compose([f"loss={option}"]).loss)(facts=facts)


def test_every_loss_has_a_yaml() -> None:
    composed = [build(Composer(ConfTree.of()).compose([f"loss={option}"]).loss) for option in OPTIONS]
    built = {made.func.__module__.rsplit(".", 1)[1] for made in composed}
    folder = Path(seasonrec.training.loss.__file__).parent
    modules = {
        path.stem: importlib.import_module(f"seasonrec.training.loss.{path.stem}") for path in folder.glob("[!_]*.py")
    }
    classes = {
        name
        for name, module in modules.items()
        for _, c in inspect.getmembers(module, inspect.isclass)
        if c.__module__ == module.__name__ and "facts" in inspect.signature(c).parameters
    }
    assert built == classes == set(OPTIONS)


@pytest.mark.parametrize("option", OPTIONS)
def test_every_loss_trains_the_whole_model(shop: Shop, option: str) -> None:
    model, loss = plain_model(shop), loss_of(option, shop.facts())
    batch = sampled_batch(shop, model, loss.sampler)
    before = loss(model, batch)
    before.backward()
    trained = [name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0]
    assert {"item_encoder.vectors.weight", "head.bias", "start"} <= set(trained)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.sub_(0.05 * parameter.grad)
        assert loss(model, batch) < before


def test_a_product_of_factors_and_whole_scores_give_one_full_softmax(shop: Shop) -> None:
    model, loss = plain_model(shop), FullSoftmax(facts=shop.facts())
    batch = sampled_batch(shop, model, None)
    loss(model, batch).backward()
    tiled = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    model.habit.changes_scores = True  # it still passes them on, but as a matrix
    whole = loss(model, batch)
    whole.backward()
    assert (model.first_seen_s >= batch.candidates_until_s[:, None]).any()
    assert loss(model, batch).item() == pytest.approx(whole.item(), rel=1e-6)
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(tiled[name], parameter.grad, rtol=1e-3, atol=1e-6)


def test_an_item_born_at_the_request_is_no_candidate_of_it_and_no_target(shop: Shop) -> None:
    """Checks requests at an item's first event, the very first of the log among them, in both computations."""
    model, loss, log = plain_model(shop), FullSoftmax(facts=shop.facts()), shop.log
    born = np.flatnonzero(np.isin(log.basket_times_s, log.item_first_seen_s))
    batch = shop.builder(model.contexts())(Requests.of_baskets(log, born))
    assert batch.unavailable.sum() >= log.num_items
    tiled = loss(model, batch)
    tiled.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    model.habit.changes_scores = True
    whole = loss(model, batch)
    whole.backward()
    assert tiled.item() == pytest.approx(whole.item(), rel=1e-6)
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("option", OPTIONS)
def test_a_batch_whose_items_are_all_new_teaches_nothing(option: str, shop: Shop) -> None:
    """Checks the request of the log's first second: no item was sold before it."""
    model, loss, log = plain_model(shop), loss_of(option, shop.facts()), shop.log
    first = np.flatnonzero(log.basket_times_s == log.basket_times_s.min())[:1]
    random = np.random.default_rng(0)
    batch = shop.builder(model.contexts())(Requests.of_baskets(log, first), sampler=loss.sampler, random=random)
    assert len(batch.target_items) == 0
    value = loss(model, batch)
    value.backward()
    assert value.item() == 0.0
    assert all(p.grad.abs().max() == 0.0 for p in model.parameters() if p.grad is not None)


def noted_sizes(model: SeasonalRecommender, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts the scored requests."""
    sizes: list[int] = []
    score = model.score

    def noting(query: Tensor, items: ScoredItems, batch: SequenceBatch) -> Tensor:
        sizes.append(len(query))
        return score(query, items, batch)

    monkeypatch.setattr(model, "score", noting)
    return sizes


@pytest.mark.parametrize("whole_scores", [1, 700])
def test_scores_a_few_requests_at_a_time_give_the_same_loss_and_gradients(
    shop: Shop, whole_scores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Returns a model with sections whose scores are no product."""
    torch.manual_seed(0)
    seasons = {"momentum": MomentumSeason, "calendar": CalendarSeason, "last_year": LastYearSeason}
    model, loss = small_model(shop, season=seasons).eval(), FullSoftmax(facts=shop.facts())
    batch = sampled_batch(shop, model, None)
    whole = loss(model, batch)
    whole.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    monkeypatch.setattr(full_softmax, "WHOLE_SCORES", whole_scores)
    sizes = noted_sizes(model, monkeypatch)
    parts = loss(model, batch)
    parts.backward()
    assert max(sizes) <= max(1, whole_scores // shop.log.num_items) < batch.num_requests
    assert parts.item() == pytest.approx(whole.item(), rel=1e-6)
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-3, atol=1e-6)


class Found(NamedTuple):
    """Inputs of a loss for one target.

    Args:
        target: Its logit.
        basket: Logits of all targets of its request, itself among them.
        negatives: ``(logit, log expected)`` of each negative that counts for it.
    """

    target: float
    basket: list[float]
    negatives: list[tuple[float, float]]


def pairs(model: SeasonalRecommender, batch: SequenceBatch) -> list[Found]:
    """Returns the loss, computed target by target."""
    assert batch.sample is not None
    whole = model(replace(batch, sample=None)).tolist()
    ids = batch.sample.item_ids.tolist()
    expected = batch.sample.log_expected.tolist()
    negatives = [(ids[column], expected[column]) for column in batch.sample.negative_columns.tolist()]
    own: dict[int, set[int]] = {}
    for request, item in zip(batch.target_request.tolist(), batch.target_items.tolist(), strict=True):
        own.setdefault(request, set()).add(item)
    first_seen = model.first_seen_s.tolist()
    found = []
    for request, item in zip(batch.target_request.tolist(), batch.target_items.tolist(), strict=True):
        time_s = int(batch.request_time_s[request])
        counts = [(n, e) for n, e in negatives if n not in own[request] and first_seen[n] <= time_s]
        basket = [whole[request][one] for one in own[request]]
        found.append(Found(whole[request][item], basket, [(whole[request][n], e) for n, e in counts]))
    return found


def softplus(value: float) -> float:
    return math.log1p(math.exp(-abs(value))) + max(value, 0.0)


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def by_hand_softmax(found: Found, drawn: int) -> float:
    others = sum(math.exp(score - expected) for score, expected in found.negatives)
    return math.log(sum(map(math.exp, found.basket)) + others) - found.target


def by_hand_gbce(found: Found, drawn: int) -> float:
    share = np.mean([len(set(draw)) for draw in np.random.default_rng(0).integers(30, size=(20_000, 10))]) / 30
    beta = share * (0.75 * (1 - 1 / share) + 1 / share)
    return (beta * softplus(-found.target) + sum(softplus(score) for score, _ in found.negatives)) / (1 + drawn)


def by_hand_bce(found: Found, drawn: int) -> float:
    return softplus(-found.target) + mean([softplus(score) for score, _ in found.negatives])


def by_hand_bpr(found: Found, drawn: int) -> float:
    return mean([softplus(score - found.target) for score, _ in found.negatives])


@pytest.mark.parametrize(
    ("make", "by_hand"),
    [
        (partial(SampledSoftmax, 10), by_hand_softmax),
        (partial(GBCE, 10), by_hand_gbce),
        (partial(BCE, 10), by_hand_bce),
        (partial(BPR, 10), by_hand_bpr),
    ],
    ids=["sampled_softmax", "gbce", "bce", "bpr"],
)
def test_value_by_hand(shop: Shop, make: Callable[..., Loss], by_hand: Callable[..., float]) -> None:
    model, loss = plain_model(shop), make(facts=shop.facts())
    batch = sampled_batch(shop, model, loss.sampler)
    assert batch.sample is not None
    drawn = len(batch.sample.negative_columns)
    found = pairs(model, batch)
    assert len({len(one.negatives) for one in found}) > 1  # own targets and unavailable items do not count
    assert max(len(one.basket) for one in found) > 1
    expected = mean([by_hand(one, drawn) for one in found])
    assert loss(model, batch).item() == pytest.approx(expected, rel=1e-3 if isinstance(loss, GBCE) else 1e-5)


def test_sampled_softmax_estimates_the_full_one_without_bias(shop: Shop) -> None:
    """Checks that the mean over many draws of the sum over negatives is the sum over all other candidates."""
    facts = shop.facts()
    sampler = SampledSoftmax(6, 0.75, facts=facts).sampler
    weight = np.exp(np.linspace(-1, 1, sampler.cumulative.size))
    random = np.random.default_rng(0)
    sums = []
    for _ in range(20_000):
        sample = sampler.draw(np.asarray([3]), random)
        column = sample.negative_columns
        sums.append((weight[sample.item_ids[column]] / np.exp(sample.log_expected[column].numpy())).sum())
    spread = np.std(sums) / math.sqrt(len(sums))
    assert abs(np.mean(sums) - weight.sum()) < 4 * spread
    assert spread < 0.01 * weight.sum()


def test_with_all_items_drawn_the_sampled_softmax_is_the_full_one(shop: Shop) -> None:
    model, facts = plain_model(shop), shop.facts()
    loss = SampledSoftmax(20_000, 0.0, facts=facts)
    batch = sampled_batch(shop, model, loss.sampler)
    assert len(batch.target_items) > batch.num_requests  # baskets: the other targets are among the candidates
    full = FullSoftmax(facts=facts)(model, replace(batch, sample=None))
    assert loss(model, batch).item() == pytest.approx(full.item(), rel=1e-5)


def test_columns_of_a_sample_are_those_of_the_whole(shop: Shop) -> None:
    model = plain_model(shop)
    batch = sampled_batch(shop, model, NegativeSampler.of(np.ones(shop.log.num_items), 8, 0.0))
    assert batch.sample is not None
    whole: Tensor = model(replace(batch, sample=None))
    assert len(batch.sample.item_ids) < shop.log.num_items
    torch.testing.assert_close(model(batch), whole[:, batch.sample.item_ids], rtol=1e-5, atol=1e-5)


def test_a_sampled_loss_without_a_sample_says_so(shop: Shop) -> None:
    model = plain_model(shop)
    with pytest.raises(ValueError, match="a batch with a sample, got one without; give the loader the loss's sampler"):
        BCE(facts=shop.facts())(model, sampled_batch(shop, model, None))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(BPR, 0), "loss.num_negatives must be at least 1, got 0"),
        (partial(BCE, 8, -1.0), "loss.popularity_power must be at least 0, got -1.0"),
        (partial(GBCE, 8, 1.5), r"loss.calibration must lie in \[0, 1\], got 1.5"),
    ],
)
def test_options_out_of_range(shop: Shop, make: Callable[..., Loss], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(facts=shop.facts())
