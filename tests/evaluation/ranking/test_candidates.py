import math

import numpy as np
import pytest
import torch
from evaluation_logs import build_log

from seasonrec.batches.requests import Requests
from seasonrec.evaluation.ranking.candidates import CandidateFilter


@pytest.fixture(scope="module")
def log():
    """Returns a log in which item ``i`` is first seen on day ``i`` of January."""
    return build_log([(0, f"2017-01-{day + 1:02d} 00:00", [day]) for day in range(20)])


def asked(log, *items: int) -> Requests:
    """Returns requests in the second after the first of the given items."""
    times_s = log.item_first_seen_s[list(items)] + 1
    return Requests(np.zeros(len(items), dtype=np.int64), times_s, times_s, np.full(len(items), -1))


@pytest.mark.parametrize(
    "items", [(19, 19), (17, 19, 16), (2, 19, 10), (0,)], ids=["none", "few", "many", "all but one"]
)
def test_the_others_are_masked_and_the_scorer_s_own_scores_are_not_touched(log, items):
    scores, requests = torch.randn(len(items), 20, generator=torch.Generator().manual_seed(0)), asked(log, *items)
    before = scores.clone()
    masked = CandidateFilter("known", log)("table", scores, requests)
    seen = torch.from_numpy(log.item_first_seen_s < requests.times_s[:, None])
    assert torch.equal(masked, before.masked_fill(~seen, -math.inf))
    assert torch.equal(scores, before)
    assert CandidateFilter("all", log)("table", scores, requests) is scores


def test_an_item_first_sold_in_the_second_of_the_request_or_within_its_horizon_is_masked(log):
    requests, scores = asked(log, 12), torch.zeros(1, 20)
    early = Requests(requests.users, requests.times_s - 1, requests.times_s - 1, requests.baskets)
    late = Requests(requests.users, requests.times_s, requests.times_s - 3 * 86_400, requests.baskets)
    counts = {
        (rule, name): int(CandidateFilter(rule, log)("table", scores, asking).isfinite().sum())
        for rule in ("known", "before_request", "all")
        for name, asking in {"early": early, "late": late}.items()
    }
    assert counts == {
        ("known", "early"): 12,
        ("before_request", "early"): 12,
        ("known", "late"): 10,
        ("before_request", "late"): 13,
        ("all", "early"): 20,
        ("all", "late"): 20,
    }


def test_requests_after_the_last_new_item_need_no_copy(log):
    scores = torch.zeros(2, 20)
    assert CandidateFilter("known", log)("table", scores, asked(log, 19, 19)) is scores


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("item", [4, 5, 6])
def test_a_candidate_needs_a_finite_score_and_no_other_item_does(log, value, item):
    scores, candidates = torch.zeros(2, 20), CandidateFilter("known", log)
    scores[0, item] = value
    if item <= 5:
        with pytest.raises(
            ValueError, match=rf"table.score must be finite .* got {value} for user user0 .* item{item};"
        ):
            candidates("table", scores, asked(log, 5, 19))
    else:
        assert candidates("table", scores, asked(log, 5, 19))[0].tolist() == [0.0] * 6 + [-math.inf] * 14


def test_large_scores_whose_sum_overflows_are_finite(log):
    scores = torch.full((1, 20), 3e38)
    assert CandidateFilter("all", log)("table", scores, asked(log, 19)).isfinite().all()
