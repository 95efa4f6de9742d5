"""Best items of many users at one time, for recommendations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from seasonrec.batches.context.known_items import KnownItems
from seasonrec.batches.requests import Requests
from seasonrec.data.log import EventLog
from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.ranking.candidates import CandidateFilter
from seasonrec.evaluation.ranking.evaluator import Scorer, during_pass, requests_at_once
from seasonrec.evaluation.ranking.ranks import best, log_partition

CHUNKS_PER_STRETCH = 16
"""Chunks that are sorted together by the length of the users' histories, to limit padding."""


@dataclass(frozen=True)
class TopLists:
    """Best items of ``N`` users, best first; the order of equal scores is arbitrary.

    Args:
        users: ``(N,)`` int64 user numbers.
        items: ``(N, K)`` int64 item numbers.
        scores: ``(N, K)`` float32, natural logarithm of each item's probability among the candidates, or its logit;
            -inf where a user has fewer than ``K`` candidates.
    """

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    scores: NDArray[np.float32]


def top_lists(
    scorer: Scorer,
    log: EventLog,
    protocol: Protocol,
    requests: Requests,
    top_k: int,
    chunk: int = 256,
    normalise: bool = True,
    exclude_own: bool = False,
) -> Iterator[TopLists]:
    """Yields the lists of requests, in their order.

    The best items are selected by their logits, and only these are converted into probabilities. This needs the sum
    over the catalogue, but no second table of its size.

    Args:
        scorer: Scorer that ranks.
        log: The prepared log.
        protocol: Gives the rule of the candidates.
        requests: The ``U`` requests.
        top_k: Items per list, at most the size of the catalogue.
        chunk: Largest number of users scored at once; fewer with a large catalogue.
        normalise: Whether to return log probabilities; logits suffice if only the order is read.
        exclude_own: Whether to list no item that the user has bought before. The probabilities stay those among all
            candidates.

    Yields:
        The lists of a stretch of users.

    Raises:
        ValueError: If a candidate's score is not finite.
    """
    candidates = CandidateFilter(protocol.candidates, log)
    chunk = requests_at_once(log.num_items, chunk)
    stretch = chunk * CHUNKS_PER_STRETCH
    known_items = KnownItems(log)

    def best_items(some: Requests) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        with torch.no_grad():
            logits = candidates(scorer.name, scorer.score(some), some)  # (N, V)
            allowed = logits
            if exclude_own:
                allowed = logits.clone()
                request, item = known_items(some.users, some.known_until_s)
                allowed[torch.from_numpy(request), torch.from_numpy(item)] = -math.inf
            values, items = best(allowed, top_k)  # (N, K)
            if normalise:
                values = values - log_partition(logits)[:, None]
        return items.cpu().numpy(), values.cpu().numpy()

    with during_pass(scorer):
        for start in range(0, len(requests), stretch):
            asked = requests[slice(start, start + stretch)]
            items = np.empty((len(asked), top_k), dtype=np.int64)
            scores = np.empty(items.shape, dtype=np.float32)
            for rows in _chunks_by_history(log, asked, chunk):
                items[rows], scores[rows] = best_items(asked[rows])
            yield TopLists(asked.users, items, scores)


def _chunks_by_history(log: EventLog, requests: Requests, chunk: int) -> Iterator[NDArray[np.int64]]:
    """Yields rows of the requests; users with histories of similar length are in one chunk."""
    ends = log.basket_offsets[log.baskets_before(requests.users, requests.known_until_s)]
    order = np.argsort(ends - log.user_offsets[requests.users], kind="stable")
    for start in range(0, len(order), chunk):
        yield order[start : start + chunk]
