"""Tests of binary and ranking losses against hand-written formulas."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hashed_reader import HashedReader
from small_shop import Shop
from task_cases import WIDTH, available_items, baskets, features_of, make_case

from seasonrec.batches.labels.next_window import NextWindow
from seasonrec.batches.requests import Requests
from seasonrec.batches.sampling import ItemSample, NegativeSampler
from seasonrec.models.queries import word_queries
from seasonrec.models.scoring import LinearScores, ScoredItems
from seasonrec.models.task.category import CategoryHead
from seasonrec.models.task.draws import hashed_uniform
from seasonrec.models.task.purchase import PurchaseHead
from seasonrec.models.task.user_match import overlaps


@pytest.fixture(autouse=True)
def hashed_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seasonrec.models.task.search.TextReader", HashedReader)


@pytest.mark.parametrize("loss", ["softmax", "multi_label"])
def test_next_basket_by_hand(shop: Shop, loss: Any) -> None:
    case = make_case(shop, "next_basket")
    case.head.loss = loss
    batch = case.training_batch(20)
    output = case.output(batch)
    features = features_of(case, batch)
    own = case.head.correction.project(features.query) @ features.items.vectors.T + case.head.correction.bias
    scores = features.scores() + own
    losses = []
    for request, basket in enumerate(baskets(batch)):
        own = {item: scores[request, item].item() for item in available_items(case, batch, request)}
        if loss == "softmax":
            total = math.log(sum(math.exp(score) for score in own.values()))
            losses.append(sum(total - own[item] for item in basket) / len(basket))
        else:
            each = [math.log1p(math.exp(-s if item in basket else s)) for item, s in own.items()]
            losses.append(sum(each) / len(each))
    assert output.loss.item() == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    assert [row.nonzero().flatten().tolist() for row in output.truth] == [sorted(b) for b in baskets(batch)]


def test_sampled_set_losses_estimate_those_of_the_catalogue(shop: Shop) -> None:
    for loss in ("softmax", "multi_label"):
        case = make_case(shop, "next_basket")
        case.head.loss = loss
        builder, requests = case.builder(), shop.some_requests(8)
        sampler, draw = NegativeSampler.of(np.ones(shop.log.num_items), 12, 0.0), np.random.default_rng(0)
        drawn = [case.output(builder(requests, sampler=sampler, random=draw)).loss.item() for _ in range(50)]
        whole = case.output(builder(requests)).loss.item()
        assert np.mean(drawn) == pytest.approx(whole, rel=0.05)


def test_purchase_by_hand(shop: Shop) -> None:
    case = make_case(shop, "purchase")
    batch = case.training_batch(30)
    output = case.output(batch)
    pairs = list(zip(output.prediction.tolist(), output.truth.tolist(), strict=True))
    by_hand = sum(math.log1p(math.exp(-logit if bought else logit)) for logit, bought in pairs) / len(pairs)
    assert output.loss.item() == pytest.approx(by_hand, rel=1e-5)
    assert output.truth.sum() == len(batch.target_items)
    assert output.start is not None
    features, head = features_of(case, batch), case.head
    shares = torch.log_softmax(features.scores(), dim=1)
    own = (head.project(features.query) @ features.items.vectors.T) + head.bias
    total_weights = [
        head.weight[list(available_items(case, batch, request))].sum() for request in range(batch.num_requests)
    ]
    assert min(total_weights) < max(total_weights)
    pairs = list(zip(batch.target_request.tolist(), batch.target_items.tolist(), strict=True))
    odds = [shares[r, item].exp() / (head.num_negatives * head.weight[item] / total_weights[r]) for r, item in pairs]
    torch.testing.assert_close(output.start[: len(pairs)].exp(), torch.stack(odds).float())
    expected = torch.stack([odd.log() + own[pair] for odd, pair in zip(odds, pairs, strict=True)])
    torch.testing.assert_close(output.prediction[: len(pairs)], expected.float())


def test_gradients_of_repeated_pairs_are_summed_in_a_fixed_order(shop: Shop) -> None:
    """Checks four runs for equal bits: threads that add in the order of arrival would give different ones."""
    case = make_case(shop, "purchase")
    case.head.num_negatives = 400
    batch = case.training_batch()
    weights = [weight for weight in case.model.parameters() if weight.requires_grad]
    threads = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        runs = [torch.autograd.grad(case.output(batch).loss, weights, allow_unused=True) for _ in range(4)]
    finally:
        torch.set_num_threads(threads)
    for first, *others in zip(*runs, strict=True):
        assert all(first is None is other or torch.equal(first, other) for other in others)


@pytest.mark.parametrize("training", [True, False])
def test_negatives_are_available_and_not_in_the_basket(shop: Shop, training: bool) -> None:
    case = make_case(shop, "purchase")
    case.head.train(training)
    batch = case.builder()(Requests.of_baskets(shop.log, np.arange(0, shop.log.num_baskets, 3)))
    items = case.model.read(batch).items
    drawn, is_valid = case.head._negatives(batch, items)
    assert is_valid.float().mean() > 0.7
    rows, own, unavailable, seen = batch.target_request.tolist(), baskets(batch), 0, set()
    for request, columns, valid in zip(rows, drawn.tolist(), is_valid.view_as(drawn).tolist(), strict=True):
        available = set(available_items(case, batch, request))
        unavailable += len(available) < shop.log.num_items
        assert set(columns) <= available
        assert valid == [item not in own[request] for item in columns]
        seen |= set(columns)
    assert unavailable > 10
    assert len(seen) == shop.log.num_items, "every item is drawn"
    again = case.head._negatives(batch, items)[0]
    assert torch.equal(again, drawn) == (not training)


def test_negatives_follow_the_popularity_power(shop: Shop) -> None:
    facts = shop.facts(WIDTH)
    counts = facts.item_train_counts + 1
    for power in (0.0, 1.0):
        head = PurchaseHead(200, power, facts=facts)
        batch = replace(make_case(shop, "purchase").builder()(shop.some_requests(12)))
        last = replace(batch, candidates_until_s=torch.full_like(batch.request_time_s, shop.split.end_s))
        items = ScoredItems(torch.zeros(len(counts), WIDTH), None, len(counts))
        drawn, _ = head._negatives(last, items)
        share = torch.bincount(drawn.flatten(), minlength=len(counts)) / drawn.numel()
        expected = counts**power / (counts**power).sum()
        assert (share - expected).abs().max() < 0.015
        torch.testing.assert_close(head.log_drawn.exp(), 200 * expected)


@pytest.mark.parametrize("power", [0.0, 1.0])
def test_negatives_of_a_sample_follow_the_popularity_power(shop: Shop, power: float) -> None:
    """Checks that over many samples the draws follow the whole catalogue, however the loss samples its items."""
    facts = shop.facts(WIDTH)
    sampler = NegativeSampler.of(facts.item_train_counts.numpy(), 40, 0.75)
    counts, head, random = facts.item_train_counts + 1, PurchaseHead(4, power, facts=facts), np.random.default_rng(0)
    batch = make_case(shop, "purchase").builder()(shop.some_requests(12))
    last = replace(batch, candidates_until_s=torch.full_like(batch.request_time_s, shop.split.end_s))
    drawn = torch.zeros(len(counts))
    for _ in range(1500):
        sample = sampler.draw(batch.target_items.numpy(), random)
        items = ScoredItems(torch.zeros(len(sample.item_ids), WIDTH), sample.item_ids, len(counts))
        columns, _ = head._negatives(replace(last, sample=sample), items)
        assert torch.isin(columns, sample.negative_columns).all()
        drawn += torch.bincount(sample.item_ids[columns.flatten()], minlength=len(counts))
    expected = counts**power / (counts**power).sum()
    assert (drawn / drawn.sum() - expected).abs().max() < 0.02


def test_a_sample_without_available_items_gives_no_negatives(shop: Shop) -> None:
    facts, head = shop.facts(WIDTH), PurchaseHead(4, facts=shop.facts(WIDTH))
    batch = make_case(shop, "purchase").builder()(shop.some_requests(12))
    newest = int(facts.item_first_seen_s.argmax())
    early_s = int(facts.item_first_seen_s[newest]) - 1
    kept = batch.target_items != newest
    bought, request = batch.target_items[kept], batch.target_request[kept]
    ids = torch.unique(torch.cat([bought, torch.tensor([newest])]))
    columns, drawn = (torch.searchsorted(ids, of) for of in (bought, torch.tensor([newest])))
    sample = ItemSample(ids, columns, drawn, torch.zeros(len(ids)))
    times_s = torch.full_like(batch.request_time_s, early_s)
    early = replace(batch, target_items=bought, target_request=request, candidates_until_s=times_s + 1, sample=sample)
    items = ScoredItems(torch.zeros(len(ids), WIDTH), ids, len(facts.item_first_seen_s))
    _, is_valid = head._negatives(early, items)
    assert not is_valid.any()


def test_hashed_numbers_look_random() -> None:
    keys = torch.arange(4000)
    values = hashed_uniform(keys, 5)
    assert ((values >= 0) & (values < 1)).all()
    assert torch.equal(values[7:9], hashed_uniform(keys[7:9], 5))
    assert (values.mean(0) - 0.5).abs().max() < 0.02
    assert (values.var(0) - 1 / 12).abs().max() < 0.003
    correlations = torch.corrcoef(torch.cat([values, values.roll(1, 0)], 1).T) - torch.eye(10)
    assert correlations.abs().max() < 0.06
    assert len(values.unique()) == values.numel()


def test_category_by_hand(shop: Shop) -> None:
    case = make_case(shop, "category")
    batch = case.training_batch(25)
    output = case.output(batch)
    scores = case.head.out(features_of(case, batch).query)
    category = torch.tensor(shop.log.item_categories)
    own = batch.context["own_history"]
    losses = []
    for request, basket in enumerate(baskets(batch)):
        for k in range(scores.shape[1]):
            pairs = (own.request == request) & (category[own.item] == k)
            count, decayed = own.count[pairs].sum(), own.decayed[pairs].sum(0).float()
            if k in {int(category[item]) for item in available_items(case, batch, request)}:
                assert output.start is not None
                assert output.start[request, k].item() == pytest.approx((count + case.head.shares[k]).item())
            rate = count / own.user_baskets[request].clamp(min=1)
            counts = torch.cat([count[None], decayed]).log1p()
            scores[request, k] += (case.head.weights.weight[0] * torch.cat([counts, rate[None]])).sum()
        available = sorted({int(category[item]) for item in available_items(case, batch, request)})
        total = math.log(sum(math.exp(scores[request, k].item()) for k in available))
        losses.append(sum(total - scores[request, category[item]].item() for item in basket) / len(basket))
        assert output.truth[request].nonzero().flatten().tolist() == sorted({int(category[item]) for item in basket})
    assert output.loss.item() == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    shares = CategoryHead(facts=shop.facts()).out.bias.exp()
    assert shares.sum().item() == pytest.approx(1.0)


def test_items_without_a_category_are_ignored(shop: Shop) -> None:
    facts = shop.facts(WIDTH)
    first = min(facts.item_category_names)
    names = tuple("" if name == first else name for name in facts.item_category_names)
    bare = replace(facts, item_category_names=names)
    assert torch.equal(bare.item_categories, facts.item_categories)
    case = make_case(shop, "category")
    batch = case.training_batch(25)
    everything = case.output(batch)
    head = CategoryHead(facts=bare).eval()
    head.load_state_dict(case.head.state_dict())
    case.model.task["category"] = head
    output = case.output(batch)
    kept = everything.truth[:, 1:].any(1)
    assert not kept.all(), "some baskets have only items without a category"
    assert output.truth[:, 0].sum() == 0
    assert torch.equal(output.truth[:, 1:], everything.truth[kept, 1:])
    assert output.prediction[:, 0].eq(float("-inf")).all()
    assert torch.equal(output.prediction[:, 1:], everything.prediction[kept, 1:])


def test_categories_without_an_event_yet_are_no_candidates(shop: Shop) -> None:
    facts = shop.facts(WIDTH)
    first = facts.item_first_seen_s.clone()
    first[facts.item_categories == 2] = shop.split.end_s
    head = CategoryHead(facts=replace(facts, item_first_seen_s=first))
    case = make_case(shop, "category")
    batch = case.builder()(shop.some_requests(10))
    kept = torch.tensor(shop.log.item_categories)[batch.target_items] != 2
    batch = replace(batch, target_items=batch.target_items[kept], target_request=batch.target_request[kept])
    output = head(features_of(case, batch), batch, batch.context)
    assert output.start is not None
    assert (output.prediction[:, 2] == -math.inf).all()
    assert (output.start[:, 2] == -math.inf).all()
    assert output.loss.isfinite()


@pytest.mark.parametrize("at_once", [2, 1 << 14])
def test_overlaps_by_hand(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seasonrec.models.task.user_match.ITEMS_AT_ONCE", at_once)
    windows = [{1, 4, 7}, {4, 7, 9, 11}, set(), {9}]
    pairs = [(row, item) for row, window in enumerate(windows) for item in sorted(window)]
    given = NextWindow(*(torch.tensor(column) for column in zip(*pairs, strict=True)))
    for row, one in enumerate(windows):
        expected = [len(one & other) / max(1, len(one | other)) for other in windows]
        assert overlaps(given.request, given.items, 4)[row].tolist() == pytest.approx(expected)
    nothing = torch.zeros(0, dtype=torch.int64)
    assert not overlaps(nothing, nothing, 3).any()


def test_user_match_by_hand(shop: Shop) -> None:
    case = make_case(shop, "user_match")
    batch = case.training_batch(40)
    output = case.output(batch)
    vectors = case.head.project(features_of(case, batch).query)
    label, own = batch.labels["next_window"], batch.context["own_history"]
    shared = overlaps(label.request, label.items, batch.num_requests)
    before = overlaps(own.request, own.item, batch.num_requests)
    same = batch.user_ids[:, None] == batch.user_ids
    asked = shared.masked_fill(same, 0.0).any(1)
    assert output.start is not None
    assert torch.equal(output.start, before.masked_fill(same, -math.inf)[asked])
    users, losses = batch.user_ids.tolist(), []
    assert len(set(users)) < len(users), "some requests belong to the same user"
    for row in range(len(users)):
        others = [column for column in range(len(users)) if users[column] != users[row]]
        alike = {o: torch.cosine_similarity(vectors[row], vectors[o], dim=0) for o in others}
        cosine = {o: (value + case.head.weight * before[row, o]).item() / 0.1 for o, value in alike.items()}
        total = math.log(sum(math.exp(value) for value in cosine.values()))
        weight = {o: shared[row, o].item() for o in others}
        if sum(weight.values()):
            losses.append(sum(w * (total - cosine[o]) for o, w in weight.items()) / sum(weight.values()))
    assert output.loss.item() == pytest.approx(sum(losses) / len(losses), rel=1e-4)
    assert (output.prediction == -math.inf).sum() == sum(users.count(user) for user in users)


def test_search_by_hand(shop: Shop) -> None:
    case = make_case(shop, "search")
    batch = case.training_batch(40)
    facts = shop.facts(WIDTH)
    known = (facts.item_first_seen_s < shop.split.validation_from_s).tolist()
    queries = word_queries(facts.item_category_names, facts.item_texts, known, 6, 3)
    assert len(queries.texts) > 4
    output, features = case.output(batch), features_of(case, batch)
    asked, losses = case.head._asked(batch).tolist(), []
    chosen = 0
    for request, basket in enumerate(baskets(batch)):
        choices = {queries.of_item[item] for item in basket} - {-1}
        assert (asked[request] in choices) if choices else asked[request] == -1
        if not choices:
            continue
        correction = case.head.correction
        words = case.head.words(case.head.text_vectors[asked[request]])
        view = correction.project(features.query[request]) + words
        asks = queries.texts[asked[request]].split()
        words_of = zip(facts.item_category_names, facts.item_texts, strict=True)
        match = torch.tensor(
            [list(dict.fromkeys(f"{c} {t}".lower().split()))[: len(asks)] == asks for c, t in words_of]
        )
        scores = features.scores()[request] + view @ features.items.vectors.T + correction.bias
        scores = scores + case.head.match * match
        assert output.start is not None
        assert match[output.start[chosen].argmax()], "a look-up ranks matching items first"
        available = available_items(case, batch, request)
        relevant = [item for item in basket if queries.of_item[item] == asked[request]]
        assert output.truth[chosen].nonzero().flatten().tolist() == sorted(relevant)
        total = torch.logsumexp(scores[available], 0).item()
        losses.append(sum(total - scores[item].item() for item in relevant) / len(relevant))
        chosen += 1
    assert chosen == len(output.truth)
    assert output.loss.item() == pytest.approx(sum(losses) / len(losses), rel=1e-4)


def test_in_training_every_query_of_a_basket_is_drawn_sometimes(shop: Shop) -> None:
    case = make_case(shop, "search")
    batch = case.training_batch(40)
    assert torch.equal(case.head._asked(batch), case.head._asked(batch))
    case.head.train()
    drawn = torch.stack([case.head._asked(batch) for _ in range(60)])
    of_item = case.head.query_of_item.tolist()
    for request, basket in enumerate(baskets(batch)):
        assert set(drawn[:, request].tolist()) == ({of_item[item] for item in basket} - {-1} or {-1})


def test_scores_of_a_popular_item_are_not_rounded_by_bf16() -> None:
    """Checks biases, which are log shares: bfloat16 would round -12.3 to a multiple of 1/16 in every row."""
    draw = torch.Generator().manual_seed(0)
    query, vectors = (torch.randn(number, 64, generator=draw) / 64 for number in (5, 300))
    scores = LinearScores(query, vectors, torch.linspace(-13, -4, 300))
    exact = scores.dense()
    with torch.autocast("cpu", torch.bfloat16):
        rounded = scores.dense()
    assert rounded.dtype == torch.float32
    assert (rounded - exact).abs().max() < 2e-3


def test_user_match_compares_users_in_float32_under_autocast(shop: Shop) -> None:
    case = make_case(shop, "user_match")
    batch = case.training_batch(30)
    features = features_of(case, batch)
    context = {case.head.context.name: batch.context[case.head.context.name]}
    case.head.project = torch.nn.Identity()
    exact = case.head(features, batch, context).prediction
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(case.head(features, batch, context).prediction, exact)
