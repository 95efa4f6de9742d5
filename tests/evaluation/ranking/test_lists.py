import math

import numpy as np
import pytest
import torch
from evaluation_logs import TableScorer, build_log, seconds

from seasonrec.batches.requests import Requests
from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.ranking import lists
from seasonrec.evaluation.ranking.lists import TopLists, top_lists

NOW = seconds("2017-02-01 00:00")
USERS = np.array([3, 0, 5, 1, 4, 2, 3])


@pytest.fixture(scope="module")
def log():
    """Returns a log of six users with decreasing history; item 5 is first seen after ``NOW``."""
    days = [(user, f"2017-01-{day + 1:02d} 00:00", [day % 5]) for user in range(6) for day in range(12 - 2 * user)]
    return build_log([*days, (0, "2017-03-01 00:00", [5])])


def scores_of(users: np.ndarray) -> torch.Tensor:
    table = torch.randn(6, 6, generator=torch.Generator().manual_seed(0))
    return table[torch.from_numpy(users)]


def ask(log, scorer=None, users=USERS, **options) -> TopLists:
    scorer = scorer or TableScorer(lambda requests: scores_of(requests.users))
    options = {"protocol": Protocol(), "top_k": 4} | options
    requests = Requests.of_users(users, np.full(len(users), NOW))
    parts = list(top_lists(scorer, log, options.pop("protocol"), requests, **options))
    return TopLists(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("users", "items", "scores")))


@pytest.mark.parametrize("chunk", [1, 2, 256])
def test_lists_are_the_best_of_the_whole_softmax_in_the_users_own_order(log, monkeypatch, chunk):
    monkeypatch.setattr(lists, "CHUNKS_PER_STRETCH", 2)
    found = ask(log, chunk=chunk)
    scores = scores_of(USERS)
    scores[:, 5] = -math.inf
    values, items = torch.topk(torch.log_softmax(scores, dim=1), 4)
    assert found.users.tolist() == USERS.tolist()
    assert found.items.tolist() == items.tolist()
    assert found.scores == pytest.approx(values.numpy(), abs=1e-6)


def test_logits_are_given_as_they_are(log):
    found = ask(log, normalise=False)
    assert found.scores.tolist() == scores_of(USERS).gather(1, torch.from_numpy(found.items)).tolist()


def test_a_place_without_candidate_is_marked(log):
    everything, seen = ask(log, top_k=6, protocol=Protocol(candidates="all")), ask(log, top_k=6)
    assert np.isfinite(everything.scores).all()
    assert np.isinf(seen.scores).sum(1).tolist() == [1] * len(USERS)
    assert (seen.items[np.isinf(seen.scores)] == 5).all()


def test_users_of_like_history_are_scored_together(log):
    met = []

    def note(requests):
        met.append(requests.users.tolist())
        assert (requests.known_until_s == requests.times_s).all()
        assert (requests.baskets == -1).all()
        return torch.zeros(len(requests), 6)

    ask(log, TableScorer(note), users=np.arange(6), chunk=3)
    assert met == [[5, 4, 3], [2, 1, 0]]


def test_a_score_that_is_not_finite_is_refused(log):
    with pytest.raises(ValueError, match=r"table\.score must be finite for every candidate, got nan for user user3"):
        ask(log, TableScorer(lambda requests: torch.full((len(requests), 6), math.nan)), users=np.array([3]))
