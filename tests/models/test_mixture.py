"""Mixtures of the model's probabilities with counted ones, and their fit."""

import numpy as np
import pytest
import torch
from contract_cases import Case, make_case
from small_shop import Shop

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.requests import Requests
from seasonrec.evaluation.baselines.mixture import fit_mixture
from seasonrec.models.context_use import pick, pick_contexts
from seasonrec.models.mixture.base import Mixture, Observed, log_weights

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
    requests = Requests.of_baskets(log, np.unique(chosen), horizon_days * 86_400)
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
    batch, seen = observed(case, shop.some_requests(30))
    log_pi = log_weights(seen.features, seen.absent, mixture_of(case).weight.double())
    expected = torch.logsumexp(log_pi[seen.request] + seen.parts.clamp(min=1e-30).log(), dim=1)
    with torch.no_grad():
        mixed = case.model(batch)[batch.target_request, batch.target_items]
    torch.testing.assert_close(mixed.double(), expected, rtol=0, atol=1e-4)


def test_fixed_weights_are_those_of_em(shop: Shop) -> None:
    case = make_case(shop, "mixture", "fixed")
    _, seen = observed(case, shop.some_requests(200))
    mixture = mixture_of(case)
    mixture.penalty = 0.0
    bits = mixture.fit(seen)
    by_em = fit_mixture(seen.parts, ~seen.absent[seen.request], steps=3000)
    log_pi = torch.where(seen.absent, 0.0, by_em.double()).log().log_softmax(1)
    em_bits = -torch.logsumexp(log_pi[seen.request] + seen.parts.clamp(min=1e-30).log(), 1).mean() / np.log(2)
    assert bits == pytest.approx(float(em_bits), abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_fit_finds_the_better_part(shop: Shop, kind: str) -> None:
    """A model with random weights knows nothing; the user's own purchases do."""
    case = make_case(shop, "mixture", kind)
    _, seen = observed(case, shop.some_requests(200))
    mixture = mixture_of(case)
    start = log_weights(seen.features, seen.absent, mixture.start().double())
    alone = -torch.logsumexp(start[seen.request] + seen.parts.clamp(min=1e-30).log(), 1).mean() / np.log(2)
    assert mixture.fit(seen) < float(alone) - 0.1
    shares = mixture.mean_weights(seen)
    assert sum(shares.values()) == pytest.approx(1.0, abs=1e-6)
    assert sum(weight for name, weight in shares.items() if not name.startswith("model")) > 0.3


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
