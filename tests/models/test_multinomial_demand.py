"""The multinomial model of the demand: its features, its fit and its options."""

from dataclasses import replace

import numpy as np
import pytest
from small_shop import Shop

from seasonrec.batches.context.demand import DaySales, DaySalesIndex
from seasonrec.batches.facts import Facts
from seasonrec.models.demand.multinomial import MultinomialDemand
from seasonrec.models.demand.similarity import CLUSTERS, text_clusters, text_kernel


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seasonrec.models.demand.multinomial.FIT_STEPS", 12)


SALES = DaySales(
    sold=np.array([[2, 0, 0], [4, 1, 0], [0, 9, 0], [1, 1, 0]]),
    events=np.array([2, 5, 9, 2]),
    total=np.array([12, 6, 0]),
    age_days=np.array([400, 60, 0]),
    is_candidate=np.array([True, True, True]),
)


def facts_until(shop: Shop, days: int) -> Facts:
    """Returns facts of the shop with a validation cut that many days after its first event."""
    facts = shop.facts()
    return replace(facts, spec=replace(facts.spec, train_until_s=facts.spec.first_time_s + days * 86_400))


def fitted(shop: Shop, **options: object) -> tuple[MultinomialDemand, DaySalesIndex, float]:
    demand = MultinomialDemand(**options, facts=facts_until(shop, 560))  # type: ignore[arg-type]
    sales = DaySalesIndex(shop.log, demand.windows_days, demand.half_window_days, "known")
    days = [day for day in range(demand.first_day, sales.counts.num_days) if sales.on(day).any()]
    return demand, sales, demand.fit([(sales.of(day, day), sales.on(day)) for day in days])


def test_features_are_those_of_the_formulas(shop: Shop) -> None:
    demand = MultinomialDemand(use="id", facts=facts_until(shop, 560))
    found = demand.features(SALES)
    share = np.array([13, 7, 1]) / 21
    sold, events = SALES.sold, SALES.events
    lifts = [np.log((sold[w] + 5) / (share * events[w] + 5)) for w in range(4)]
    never = np.array([0.0, 0.0, 1.0])
    young = np.exp(-np.array([400, 60, 0]) / 30)
    expected = np.stack([np.log(share), *lifts, never, np.log1p(SALES.age_days) / 6, young], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found.shape[1] == len(demand.names)


def test_items_of_one_text_are_counted_together(shop: Shop) -> None:
    demand = MultinomialDemand(facts=facts_until(shop, 560))
    sales = DaySalesIndex(shop.log, demand.windows_days, demand.half_window_days, "known").of(500, 500)
    kernel = demand.groups.kernel.toarray()
    np.testing.assert_allclose(np.diag(kernel), 1.0)
    share = (sales.total + 1.0) / (sales.total.sum() + len(sales.total))
    by_text = np.log((kernel @ sales.sold[2] + 10) / (kernel @ share * sales.events[2] + 10))
    column = demand.names.index("last_year_text")
    np.testing.assert_allclose(demand.features(sales)[:, column], by_text[sales.is_candidate], rtol=1e-9)
    together = demand.groups.clusters[:, None] == demand.groups.clusters
    by_cluster = np.log((together @ sales.sold[0] + 15) / (together @ share * sales.events[0] + 15))
    column = demand.names.index("7d_cluster")
    np.testing.assert_allclose(demand.features(sales)[:, column], by_cluster[sales.is_candidate], rtol=1e-9)


def test_the_kernel_keeps_near_texts_alone() -> None:
    vectors = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]], dtype=np.float32)
    kernel = text_kernel(vectors).toarray()
    expected = np.where(vectors @ vectors.T >= 0.35, np.exp((vectors @ vectors.T - 1) / 0.06), 0.0)
    np.testing.assert_allclose(kernel, expected, rtol=1e-5)


def test_the_kernel_of_a_large_catalogue_keeps_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seasonrec.models.demand.similarity.NEAREST", 5)
    draw = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    vectors = draw / np.linalg.norm(draw, axis=1, keepdims=True)
    kernel = text_kernel(vectors).toarray()
    assert ((kernel > 0).sum(1) <= 5).all()
    assert (np.diag(kernel) == 1.0).all()


def test_later_items_do_not_decide_the_clusters() -> None:
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(CLUSTERS + 100, 8)).astype(np.float32)
    is_known = np.arange(len(vectors)) < CLUSTERS + 60
    moved = vectors.copy()
    moved[~is_known] += 100.0
    first, second = (text_clusters(one, is_known)[is_known] for one in (vectors, moved))
    np.testing.assert_array_equal(first, second)
    assert len(np.unique(first)) > 1


@pytest.mark.parametrize("hidden_dim", [0, 4])
def test_a_fit_is_better_than_popularity(shop: Shop, hidden_dim: int) -> None:
    demand, sales, bits = fitted(shop, use="id", hidden_dim=hidden_dim)
    nats, events = 0.0, 0
    for day in range(demand.first_day, sales.counts.num_days):
        known, sold = sales.of(day, day), sales.on(day)
        share = (known.total + 1.0) * known.is_candidate
        nats -= float((sold * np.log(np.maximum(share, 1e-9) / share.sum()))[known.is_candidate].sum())
        events += int(sold[known.is_candidate].sum())
    assert bits < nats / events / np.log(2) - 0.02
    assert bool(demand.is_fitted)


def test_shares_sum_to_one_over_the_candidates(shop: Shop) -> None:
    demand, sales, _ = fitted(shop, use="all", hidden_dim=2)
    for day in (100, 380, 520):
        known = sales.of(day, day - 60)
        shares = np.exp(demand.log_shares(known))
        assert shares.sum() == pytest.approx(1.0, abs=1e-5)
        assert (shares[~known.is_candidate] == 0).all()


def test_a_day_without_candidates_has_no_demand(shop: Shop) -> None:
    demand, sales, _ = fitted(shop, use="id", hidden_dim=0)
    assert np.isneginf(demand.log_shares(sales.of(0, 0))).all()


def test_the_fit_is_the_same_every_time_and_is_saved(shop: Shop) -> None:
    first, sales, _ = fitted(shop, use="id", hidden_dim=3)
    second, _, _ = fitted(shop, use="id", hidden_dim=3)
    assert all(one.equal(other) for one, other in zip(first.buffers(), second.buffers(), strict=True))
    opened = MultinomialDemand(use="id", hidden_dim=3, facts=facts_until(shop, 560))
    opened.load_state_dict(first.state_dict())
    known = sales.of(500, 480)
    np.testing.assert_array_equal(opened.log_shares(known), first.log_shares(known))


def test_a_log_of_less_than_a_year_has_no_feature_of_last_year(shop: Shop) -> None:
    demand = MultinomialDemand(use="id", facts=facts_until(shop, 400))
    assert not demand.has_year
    assert demand.names == ("log_share", "7d_id", "28d_id", "never", "log_age", "young")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"use": "words"}, "demand.use must be one of all, text, cluster, id, got 'words'"),
        ({"windows_days": ()}, r"demand.windows_days must have at least 1 entry, got \[\]; try \[7, 28\]"),
        ({"hidden_dim": -1}, "demand.hidden_dim must be at least 0, got -1; try 24"),
    ],
)
def test_wrong_options_are_refused(shop: Shop, options: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        MultinomialDemand(**options, facts=shop.facts())  # type: ignore[arg-type]
