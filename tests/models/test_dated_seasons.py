"""OAR and TimelyRec against their equations, computed request by request and event by event."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from small_model import small_model
from small_shop import Shop
from torch import nn

from seasonrec.batches.context.clock import PLACES
from seasonrec.batches.facts import Facts
from seasonrec.evaluation.counterfactual.dates import WrongDate
from seasonrec.evaluation.counterfactual.trials import told_by
from seasonrec.evaluation.ranking.scorers import ModelScorer
from seasonrec.models.scoring import ScoredItems
from seasonrec.models.season.oar import OARSeason
from seasonrec.models.season.timelyrec import ASPECTS, TimelyRecSeason, means_of_near, positions_of

DAY_S = 86_400
KINDS = [OARSeason, TimelyRecSeason]
WIDTH = 16

Array = np.ndarray[Any, np.dtype[Any]]


def asked(
    shop: Shop, kind: Any, num_requests: int = 6, **options: Any
) -> tuple[nn.Module, torch.Tensor, dict[str, Any]]:
    """Returns a season with random weights, queries, and contexts; the last request knows no event."""
    torch.manual_seed(0)
    season = kind(**options, facts=shop.facts(embedding_dim=WIDTH)).eval()
    with torch.no_grad():
        for weight in season.parameters():
            weight += 0.3 * torch.randn_like(weight)
    requests = shop.some_requests(6)
    known_until_s = np.append(requests.known_until_s[:-1], shop.spec.first_time_s)
    requests = replace(requests, known_until_s=known_until_s)
    context = {one.name: one.bind(shop.log, shop.spec)(requests) for one in season.reads}
    return season, torch.randn(6, WIDTH), context


def effect(season: nn.Module, query: torch.Tensor, context: dict[str, Any]) -> Array:
    items = ScoredItems(torch.zeros(3, WIDTH), None, 3)
    found = season(query, items, context)
    assert found.scores is None
    torch.testing.assert_close(found.query, season.conditioned(query, context))
    return found.query.detach().double().numpy()


def numbers(season: nn.Module) -> dict[str, Array]:
    return {name: value.detach().double().numpy() for name, value in season.state_dict().items()}


def affine(weights: dict[str, Array], name: str, value: Array) -> Array:
    return weights[f"{name}.weight"] @ value + weights.get(f"{name}.bias", 0.0)


def softmax(values: list[float]) -> Array:
    powers = np.exp(np.asarray(values) - max(values))
    return powers / powers.sum()


def sigmoid(value: float) -> float:
    return 1 / (1 + np.exp(-value))


def events_of(context: dict[str, Any], row: int) -> list[tuple[int, dict[str, int], float]]:
    """Returns item, places by name and day of the log of each known event of a request."""
    own = context["own_events"]
    return [
        (int(item), dict(zip(PLACES, places.tolist(), strict=True)), float(day))
        for item, places, day, gone in zip(
            own.items[row], own.places[row], own.log_days[row], own.is_padding[row], strict=True
        )
        if not gone
    ]


def test_oar_is_its_equations(shop: Shop) -> None:
    season, query, context = asked(shop, OARSeason, max_events=60)
    padding = context["own_events"].is_padding.sum(1)
    assert ((padding > 0) & (padding < 60)).any(), "a row with events and padding"
    found, w, root = effect(season, query, context), numbers(season), WIDTH**0.5
    days = w["days.weight"]
    for row, user in enumerate(query.double().numpy()):
        day = int(context["clock"].places[row, 0])
        own = np.zeros(WIDTH)
        if events := events_of(context, row):
            asks = affine(w, "own_query", days[day])
            scores = [asks @ affine(w, "own_key", days[places["day_of_year"]]) / root for _, places, _ in events]
            for weight, (item, _, _) in zip(softmax(scores), events, strict=True):
                own = own + weight * affine(w, "own_value", w["items.weight"][item] * root)
        scores = [affine(w, "all_query", days[day]) @ affine(w, "all_key", one) / root for one in days]
        memory = [affine(w, "all_value", one * root) for one in w["memory.weight"]]
        of_all = sum(weight * one for weight, one in zip(softmax(scores), memory, strict=True))
        features = [user, own, of_all]
        request = affine(w, "gate_request", np.concatenate([user, days[day]]))
        hidden = [np.tanh(affine(w, "gate_features", feature) + request) for feature in features]
        weights = softmax([float(affine(w, "gate", one)[0]) for one in hidden])
        expected = sum(weight * feature for weight, feature in zip(weights, features, strict=True))
        np.testing.assert_allclose(found[row], expected, rtol=1e-4, atol=1e-4)
    assert not events_of(context, len(query) - 1)


def time_vector(w: dict[str, Array], places: dict[str, int], user: Array) -> Array:
    """Returns ``T^u(t)`` at the places of a time."""
    total = np.zeros(WIDTH)
    for number, aspect in enumerate(ASPECTS):
        size, place = PLACES[aspect], places[aspect]
        factor = w[f"aspects.{number}.personal.weight"] @ user
        own = [factor * one for one in w[f"aspects.{number}.vectors.weight"]]
        radius = {"month": 2, "date": 6, "weekday": 1, "hour": 5}[aspect]
        means = [np.mean([own[(place + step) % size] for step in range(-j, j + 1)], axis=0) for j in range(radius + 1)]
        weights = softmax([float(own[place] @ mean) / WIDTH**0.5 for mean in means])
        vector = sum(weight * mean for weight, mean in zip(weights, means, strict=True))
        total = total + sigmoid(float((w["select.weight"] @ user) @ vector)) * vector
    return total


def test_timelyrec_is_its_equations(shop: Shop) -> None:
    season, query, context = asked(shop, TimelyRecSeason, max_events=5)
    found, w = effect(season, query, context), numbers(season)
    for row, user in enumerate(query.double().numpy()):
        now = time_vector(w, dict(zip(PLACES, context["clock"].places[row].tolist(), strict=True)), user)
        history, events = np.zeros(WIDTH), events_of(context, row)
        for item, places, day in events:
            then = time_vector(w, places, user)
            near = (1 + now @ then / np.linalg.norm(now) / np.linalg.norm(then)) / 2
            angles = [day * 24 / 10_000 ** (2 * (pair // 2) / WIDTH) for pair in range(WIDTH)]
            position = np.array([np.cos(angle) if pair % 2 else np.sin(angle) for pair, angle in enumerate(angles)])
            history += near * (w["items.weight"][item] + w["time_weight"] * position) / len(events)
        hidden = np.maximum(affine(w, "network.0", np.concatenate([user, now, history])), 0)
        np.testing.assert_allclose(found[row], user + affine(w, "network.2", hidden), rtol=2e-3, atol=2e-3)
    assert not events_of(context, len(query) - 1)


def test_the_places_near_a_place_lie_on_a_circle() -> None:
    means = means_of_near(12, 2)
    assert means.shape == (3, 12, 12)
    assert means[2, 11].nonzero().flatten().tolist() == [0, 1, 9, 10, 11]
    torch.testing.assert_close(means.sum(-1), torch.ones(3, 12))


def test_positions_are_sines_and_cosines() -> None:
    found = positions_of(torch.tensor([0.0, 2.0]), 4)
    expected = [[0.0, 1.0, 0.0, 1.0], [np.sin(2.0), np.cos(2.0), np.sin(0.02), np.cos(0.02)]]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float32))


@pytest.mark.parametrize("kind", KINDS)
def test_a_season_starts_near_the_model_without_it(shop: Shop, kind: Any) -> None:
    """TimelyRec changes nothing at first, and OAR gives a third of the query at least."""
    torch.manual_seed(0)
    season = kind(facts=shop.facts(embedding_dim=WIDTH)).eval()
    requests, query = shop.some_requests(4), torch.randn(4, WIDTH)
    context = {one.name: one.bind(shop.log, shop.spec)(requests) for one in season.reads}
    with torch.no_grad():
        cosine = nn.functional.cosine_similarity(season.conditioned(query, context), query)
    assert cosine.min() > (0.3 if kind is OARSeason else 0.9999)


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_date_moves_the_date_and_leaves_the_history(shop: Shop, kind: Any) -> None:
    torch.manual_seed(0)
    model = small_model(shop, season={"dated": kind}).eval()
    with torch.no_grad():
        for weight in model.season.parameters():
            weight += 0.3 * torch.randn_like(weight)
    scorer, requests = ModelScorer("dated", model, shop.builder(model.contexts())), shop.some_requests(12)
    right = scorer.score(requests)
    moved = {name: told_by(scorer)(WrongDate(name, 182)).score(requests) for name in ("season", "trend")}
    assert not torch.allclose(moved["season"], right, atol=1e-3)
    assert torch.equal(moved["trend"], right)


@pytest.mark.parametrize(("kind", "name"), [(OARSeason, "oar"), (TimelyRecSeason, "timelyrec")])
def test_what_cannot_be_learned_is_refused(shop: Shop, kind: Any, name: str) -> None:
    with pytest.raises(ValueError, match=rf"season.{name}.max_events must be at least 1, got 0; try"):
        kind(max_events=0, facts=shop.facts())
    spec = shop.spec.__class__(**{**vars(shop.spec), "train_until_s": shop.spec.first_time_s + 300 * DAY_S})
    facts = Facts.of(shop.log, spec, WIDTH, 12, shop.cache_dir)
    with pytest.raises(ValueError, match=rf"season=\[{name}\] reads the same season of last year.*got 0\.82; choose"):
        kind(facts=facts)
