import math

import numpy as np
import pytest
import torch
from evaluation_logs import build_log

from seasonrec.batches.requests import Requests
from seasonrec.evaluation.ranking.candidates import CandidateFilter, are_candidates


@pytest.fixture(scope="module")
def log():
    """Returns a log in which item ``i`` is first seen on day ``i`` of January."""
    return build_log([(0, f"2017-01-{day + 1:02d} 00:00", [day]) for day in range(20)])


def asked(log, *items: int) -> Requests:
    """Returns requests at the first second of the given items."""
    times_s = log.item_first_seen_s[list(items)]
    return Requests(np.zeros(len(items), dtype=np.int64), times_s, times_s, np.full(len(items), -1))


def test_candidates_are_the_items_seen_by_the_request():
    found = are_candidates("seen_before_request", torch.tensor([5, 6, 7]), torch.tensor([6, 4]))
    assert found.tolist() == [[True, True, False], [False, False, False]]
    assert are_candidates("all", torch.tensor([5, 6, 7]), torch.tensor([6, 4])).all()


@pytest.mark.parametrize(
    "items", [(19, 19), (17, 19, 16), (2, 19, 10), (0,)], ids=["none", "few", "many", "all but one"]
)
def test_the_others_are_masked_and_the_scorer_s_own_scores_are_not_touched(log, items):
    scores, requests = torch.randn(len(items), 20, generator=torch.Generator().manual_seed(0)), asked(log, *items)
    before = scores.clone()
    masked = CandidateFilter("seen_before_request", log)("table", scores, requests)
    seen = are_candidates(
        "seen_before_request", torch.from_numpy(log.item_first_seen_s), torch.tensor(requests.times_s)
    )
    assert torch.equal(masked, before.masked_fill(~seen, -math.inf))
    assert torch.equal(scores, before)
    assert CandidateFilter("all", log)("table", scores, requests) is scores


def test_requests_after_the_last_new_item_need_no_copy(log):
    scores = torch.zeros(2, 20)
    assert CandidateFilter("seen_before_request", log)("table", scores, asked(log, 19, 19)) is scores


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("item", [4, 5, 6])
def test_a_candidate_needs_a_finite_score_and_no_other_item_does(log, value, item):
    scores, candidates = torch.zeros(2, 20), CandidateFilter("seen_before_request", log)
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
