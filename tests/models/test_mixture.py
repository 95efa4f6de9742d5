"""Mixtures of the model's probabilities with counted ones, and their fit."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from contract_cases import Case, make_case
from small_shop import Shop

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.horizon import Horizon
from seasonrec.batches.requests import Requests
from seasonrec.evaluation.baselines.mixture import fit_mixture
from seasonrec.models.context_use import pick, pick_contexts
from seasonrec.models.mixture.base import Mixture, Observed
from seasonrec.models.mixture.fixed import FixedMixture

KINDS = ("fixed", "gated")


def mixture_of(case: Case) -> Mixture:
    assert isinstance(case.part, Mixture)
    return case.part


def masked(case: Case, batch: SequenceBatch) -> torch.Tensor:
    """Returns the logits of the model alone."""
    return case.model.read(batch).scores()


def observed(case: Case, requests: Requests) -> tuple[SequenceBatch, Observed]:
    contexts = {name: one.bind(case.shop.log, case.shop.spec) for name, one in case.model.contexts().items()}
    batch = case.shop.builder({}).over(contexts)(requests)
    mixture = mixture_of(case)
    with torch.no_grad():
        return batch, mixture.observe(masked(case, batch), batch, pick_contexts(batch, mixture, mixture.contexts))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("horizon_days", [0, 20])
def test_probabilities_of_the_candidates_sum_to_one(shop: Shop, kind: str, horizon_days: int) -> None:
    case = make_case(shop, "mixture", kind)
    log = shop.log
    first = np.asarray(log.user_baskets[:-1])  # the first basket of a user, without a history
    chosen = np.sort(np.concatenate([first, np.arange(0, log.num_baskets, 37)]))
    requests = Requests.of_baskets(log, np.unique(chosen), Horizon(horizon_days * 86_400))
    batch = case.batch(requests)
    with torch.no_grad():
        mixed = case.model(batch)
        candidates = masked(case, batch) > -torch.inf
    asked = candidates.any(1) & (batch.candidates_until_s > case.model.first_seen_s.min())
    total = (mixed.exp() * candidates).sum(1)[asked]
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-5)
    assert torch.isfinite(mixed).all()


@pytest.mark.parametrize("kind", KINDS)
def test_observed_targets_have_the_probabilities_of_the_ranking(shop: Shop, kind: str) -> None:
    """The fit reads targets only, the ranking whole rows: both must be the same mixture."""
    case = make_case(shop, "mixture", kind)
    mixture = mixture_of(case)
    batch, seen = observed(case, shop.some_requests(30))
    with torch.no_grad():
        mixed = case.model(batch)[batch.target_request, batch.target_items]
        torch.testing.assert_close(
            mixed, mixture.log_likelihood(seen, mixture.weight, mixture.exponents), rtol=0, atol=1e-4
        )


def test_tilted_weights_equal_a_product_item_by_item(shop: Shop) -> None:
    case = make_case(shop, "mixture", "gated")
    batch, seen = observed(case, shop.some_requests(6))
    tilt, exponents = seen.tilt, mixture_of(case).exponents
    probability = torch.softmax(masked(case, batch).detach(), dim=1)
    expected = torch.zeros_like(probability)
    is_own = torch.zeros_like(expected, dtype=torch.bool)
    is_own[tilt.own.request, tilt.own.item] = True
    for request, item in np.ndindex(*expected.shape):
        lifts = tilt.lifts[tilt.row[request], item]
        power = float((exponents[0 if is_own[request, item] else 1] * lifts).sum())
        expected[request, item] = float(probability[request, item]) * np.exp(power)
    ones = torch.ones(len(expected), 2)
    torch.testing.assert_close(tilt.dense(exponents, ones), expected)
    masses = torch.stack([(expected * is_own).sum(1), (expected * ~is_own).sum(1)], dim=1)
    torch.testing.assert_close(tilt.masses(exponents), masses, rtol=1e-4, atol=0)


def test_the_mass_of_new_items_is_exact_where_it_is_small(shop: Shop) -> None:
    """A difference of two sums near 1 would have lost it."""
    case = make_case(shop, "mixture", "gated")
    _, seen = observed(case, shop.some_requests(6))
    tilt = replace(seen.tilt, new=1e-9 * seen.tilt.new)
    exponents = torch.zeros_like(mixture_of(case).exponents)
    torch.testing.assert_close(tilt.masses(exponents)[:, 1], tilt.new.sum(1), rtol=1e-5, atol=0)


def test_without_lifts_the_parts_of_the_model_are_its_own_probabilities(shop: Shop) -> None:
    case = make_case(shop, "mixture", "gated", changes=("mixture.lift_windows_days=[]",))
    mixture = mixture_of(case)
    assert mixture.exponents.shape == (2, 0)
    assert {one.name for one in mixture.trend_contexts} == {one.name for one in mixture.counted.by_day}
    batch, seen = observed(case, shop.some_requests(30))
    probability = torch.softmax(masked(case, batch).detach(), dim=1)
    assert seen.tilt.dense(mixture.exponents, torch.ones(len(probability), 2)).equal(probability)
    start = mixture.bits([seen])
    assert mixture.fit([seen]) < start
    with torch.no_grad():
        mixed = case.model(batch)[batch.target_request, batch.target_items]
        ranked = mixture.log_likelihood(seen, mixture.weight, mixture.exponents)
    torch.testing.assert_close(mixed, ranked, rtol=0, atol=1e-4)


def test_fixed_weights_without_a_tilt_are_those_of_em(shop: Shop) -> None:
    case = make_case(shop, "mixture", "fixed")
    mixture = mixture_of(case)
    batch, seen = observed(case, shop.some_requests(200))
    seen = replace(seen, tilt=replace(seen.tilt, lifts=0 * seen.tilt.lifts, pair_lifts=0 * seen.tilt.pair_lifts))
    mixture.penalty = 0.0
    bits = mixture.fit([seen])
    model = torch.softmax(masked(case, batch).detach(), 1)[seen.request, seen.item, None]
    parts = torch.cat([model, seen.counted], dim=1)
    absent = torch.cat([torch.zeros_like(seen.absent[:, :1]), seen.absent], dim=1)
    by_em = fit_mixture(parts, ~absent[seen.request], steps=3000)
    shares = torch.where(absent, 0.0, by_em)
    likelihood = ((shares / shares.sum(1, keepdim=True))[seen.request] * parts).sum(1)
    assert bits == pytest.approx(float(-likelihood.double().log2().mean()), abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_fit_finds_the_better_part(shop: Shop, kind: str) -> None:
    """A model with random weights knows nothing; the user's own purchases do."""
    case = make_case(shop, "mixture", kind)
    mixture = mixture_of(case)
    _, seen = observed(case, shop.some_requests(200))
    nats = -mixture.log_likelihood(seen, mixture.start(), torch.zeros_like(mixture.exponents))
    assert mixture.fit([seen]) < float(nats.mean()) / np.log(2) - 0.1
    shares = mixture.mean_weights([seen])
    assert sum(shares.values()) == pytest.approx(1.0, abs=1e-6)
    assert sum(weight for name, weight in shares.items() if not name.startswith("model")) > 0.3


def test_a_fit_does_not_depend_on_the_batches(shop: Shop) -> None:
    case = make_case(shop, "mixture", "gated")
    mixture = mixture_of(case)
    requests = shop.some_requests(60)
    pieces = [observed(case, requests[start : start + 20])[1] for start in range(0, 60, 20)]
    whole = observed(case, requests)[1]
    assert mixture.fit(pieces) == pytest.approx(mixture.fit([whole]), abs=1e-4)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            {"own_half_lives_days": (28.0, 0.0)},
            r"mixture.own_half_lives_days: each entry must be above 0, got \[28.0, 0.0\]",
        ),
        ({"windows_days": ()}, r"mixture.windows_days must have at least 1 entry, got \[\]; try"),
        ({"lift_windows_days": (7, 0)}, r"mixture.lift_windows_days: each entry must be .* got \[7, 0\]"),
        ({"penalty": -1.0}, "mixture.penalty must be at least 0, got -1.0"),
    ],
)
def test_wrong_options_are_refused(shop: Shop, options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        FixedMixture(**options, facts=shop.facts())


def test_an_unfitted_mixture_changes_nothing_and_reads_nothing(shop: Shop) -> None:
    case = make_case(shop, "mixture", "gated")
    mixture_of(case).is_fitted.fill_(False)
    assert case.model.contexts() == {}
    assert set(case.model.contexts(with_unfitted=True)) == {context.name for context in mixture_of(case).contexts}
    batch = case.batch(shop.some_requests(5))
    reading = case.model.read(batch)
    assert case.model(batch).equal(case.model.score(reading.query, reading.items, batch))


def test_last_year_counts_only_if_the_fit_knew_one(shop: Shop) -> None:
    """The generated log covers more than a year; a mixture that was fitted without one must not use it later."""
    case = make_case(shop, "mixture", "fixed")
    mixture = mixture_of(case)
    batch = case.batch(shop.some_requests(20))
    with torch.no_grad():
        scores, context = masked(case, batch), pick(batch, mixture)
        place = mixture.counted.names.index("last_year_14d")
        assert mixture.counted.present(scores, context)[:, place].any()
        with_year = case.model(batch)
        mixture.counted.has_year.fill_(False)
        assert not mixture.counted.present(scores, context)[:, place].any()
        assert not case.model(batch).equal(with_year)
