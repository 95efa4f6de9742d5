"""Shares against a reference that counts event by event, and the mixture of its parts."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from random_groups import random_groups
from random_log import DAY_S, random_log
from small_shop import Shop

from seasonrec.batches.candidates import Candidates, candidates_until_s
from seasonrec.batches.context import share_index
from seasonrec.batches.context.own_history import OwnHistoryContext
from seasonrec.batches.context.share_index import SharesContext, SharesIndex
from seasonrec.batches.horizon import Horizon
from seasonrec.batches.requests import Requests
from seasonrec.data.log import EventLog


def log_of_a_year() -> EventLog:
    """Returns a random log of 400 days whose last items are first sold late."""
    return replace(random_log(1, num_days=400), timezone="UTC")


GROUPS = random_groups(log_of_a_year().num_items)
OPTIONS = SharesContext(
    windows_days=(7, None),
    half_lives_days=(20.0,),
    half_windows_days=(9,),
    own_half_lives_days=(None, 30.0),
    last_year_by=("id", "cluster", "text"),
    groups=GROUPS,
)
WITHOUT_TEXTS = replace(OPTIONS, last_year_by=("id",), groups=None)
LAST_YEAR = ["last_year_9d", "last_year_cluster_9d", "last_year_text_9d"]
NAMES = ["own", "own_30d", "recent_7d", "popularity", "decayed_20d", *LAST_YEAR, "uniform", "newborn"]


def requests_of(log: EventLog, horizon_s: int) -> Requests:
    """Returns some requests, early ones included, before which little or nothing was sold."""
    by_time = np.argsort(log.basket_times_s, kind="stable")
    return Requests.of_baskets(log, by_time[np.unique([*range(6), *range(6, log.num_baskets, 7)])], Horizon(horizon_s))


def slow(log: EventLog, requests: Requests, number: int, rule: Candidates) -> np.ndarray:
    """Returns the ``(V, K)`` parts of one request."""
    user, time_s, until_s = (int(a[number]) for a in (requests.users, requests.times_s, requests.known_until_s))
    items, times_s = np.asarray(log.event_items), np.asarray(log.event_times_s)
    users = np.repeat(np.arange(log.num_users), np.diff(log.user_offsets))
    today, day = until_s // DAY_S, times_s // DAY_S
    known, own = day < today, (users == user) & (times_s < until_s)
    a_year_ago = known & (np.abs(day - time_s // DAY_S + 364) <= 9)
    weights = [
        own,
        own * 0.5 ** ((time_s - times_s) / DAY_S / 30.0),
        known & (day >= today - 7),
        known,
        known * 0.5 ** ((today - 1 - day) / 20.0),
        a_year_ago,
    ]
    sold = np.bincount(items, known, log.num_items) > 0
    ends = {"known": until_s, "before_request": time_s, "all": np.inf}
    candidates = np.bincount(items, times_s < ends[rule], log.num_items) > 0
    counts = [np.bincount(items, one, log.num_items) for one in weights]
    counts += by_texts(counts[-1], counts[3], np.bincount(items, known & (day >= today - 28), log.num_items))
    counts += [candidates.astype(float), (candidates & ~sold).astype(float)]
    return np.stack([one / one.sum() if one.sum() else one for one in counts], axis=1)


def by_texts(a_year_ago: np.ndarray, ever: np.ndarray, recent: np.ndarray) -> list[np.ndarray]:
    """Returns the ``(V,)`` sales of a year ago by cluster and by near texts."""
    base = ever / max(ever.sum(), 1) + recent / max(recent.sum(), 1)
    by_cluster = np.zeros(len(base))
    for cluster in np.unique(GROUPS.clusters):
        own = np.flatnonzero(GROUPS.clusters == cluster)
        if base[own].sum():
            by_cluster[own] = a_year_ago[own].sum() * base[own] / base[own].sum()
    return [by_cluster, (GROUPS.kernel.toarray() @ a_year_ago) * (ever > 0)]


@pytest.mark.parametrize("kept_bytes", [0, 1 << 28])
@pytest.mark.parametrize("horizon_days", [0.0, 3.5])
@pytest.mark.parametrize("rule", get_args(Candidates))
def test_parts_follow_the_counts(
    kept_bytes: int, horizon_days: float, rule: Candidates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(share_index, "KEPT_BYTES", kept_bytes)
    log = log_of_a_year()
    requests = requests_of(log, int(horizon_days * DAY_S))
    expected = np.stack([slow(log, requests, number, rule) for number in range(len(requests))])
    options = replace(OPTIONS, candidates=rule)
    assert options.names == NAMES
    shares = SharesIndex(log, options)(requests)
    request, item = torch.cartesian_prod(torch.arange(len(requests)), torch.arange(log.num_items)).T
    found = shares.at(request, item).view(len(requests), log.num_items, len(NAMES))
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-6)
    np.testing.assert_array_equal(shares.present.numpy(), expected.sum(1) > 0.5)
    assert expected.sum(1).min(0)[[*range(6), 7]].max() == 0, "every part but the uniform one is absent somewhere"


@pytest.mark.parametrize("rule", get_args(Candidates))
def test_the_mixture_sums_to_one_and_absent_parts_give_their_weight_away(rule: Candidates) -> None:
    log = log_of_a_year()
    requests = requests_of(log, 2 * DAY_S)
    shares = SharesIndex(log, replace(OPTIONS, candidates=rule))(requests)
    weights = torch.rand(len(requests), len(NAMES), generator=torch.Generator().manual_seed(0))
    request, item = torch.cartesian_prod(torch.arange(len(requests)), torch.arange(log.num_items)).T
    parts = shares.at(request, item).view(len(requests), log.num_items, len(NAMES))
    expected = torch.einsum("nvk,nk->nv", parts, weights)
    found = shares.mixed(weights)
    available = shares.present[:, -2]  # before the first sale nothing is a candidate
    total = expected.sum(1, keepdim=True)
    torch.testing.assert_close(found[available], (expected / total)[available])
    torch.testing.assert_close(found[available].sum(1), torch.ones(int(available.sum())))
    late = torch.from_numpy(np.asarray(log.item_first_seen_s)[None] >= candidates_until_s(rule, requests)[:, None])
    assert not found[available][late[available]].any(), "an item that is no candidate has no probability"


def test_some_requests_are_those_of_the_whole(shop: Shop) -> None:
    requests = shop.some_requests(20)
    shares = SharesIndex(shop.log, WITHOUT_TEXTS)(requests)
    request, item = torch.cartesian_prod(torch.arange(20), torch.arange(shop.log.num_items)).T
    whole = shares.at(request, item)
    some = shares.rows(5, 12)
    inside = (request >= 5) & (request < 12)
    assert some.at(request[inside] - 5, item[inside]).equal(whole[inside])
    assert some.present.equal(shares.present[5:12])


def test_own_parts_of_another_context_are_those_of_the_index(shop: Shop) -> None:
    requests = shop.some_requests(20)
    whole = SharesIndex(shop.log, WITHOUT_TEXTS)(requests)
    sales = SharesIndex(shop.log, replace(WITHOUT_TEXTS, own_half_lives_days=()))(requests)
    own = OwnHistoryContext((7.0, 30.0)).bind(shop.log, shop.spec)(requests)
    found = sales.with_own(own.request, own.item, torch.stack([own.count, own.decayed[:, 1]], dim=1))
    request, item = torch.cartesian_prod(torch.arange(20), torch.arange(shop.log.num_items)).T
    torch.testing.assert_close(found.at(request, item), whole.at(request, item))
    assert sales.at(request, item).equal(whole.at(request, item)[:, 2:])


def test_weights_have_a_gradient(shop: Shop) -> None:
    shares = SharesIndex(shop.log, WITHOUT_TEXTS)(shop.some_requests(6))
    weights = torch.rand(6, len(WITHOUT_TEXTS.names), dtype=torch.float32, generator=torch.Generator().manual_seed(0))
    logits = weights.requires_grad_()
    picked = shares.mixed(logits.softmax(1))[:, 3].clamp(min=1e-20).log().sum()
    (gradient,) = torch.autograd.grad(picked, logits)
    step = 1e-2 * gradient / gradient.norm()
    with torch.no_grad():
        higher = shares.mixed((logits + step).softmax(1))[:, 3].clamp(min=1e-20).log().sum()
    assert higher > picked
