"""Candidates of a request: the items that exist at its time."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from seasonrec.batches.requests import Requests
from seasonrec.data.log import EventLog
from seasonrec.errors import UserError
from seasonrec.evaluation.protocol import Candidates

FEW = 0.25
"""Largest share of late items for which only their columns are masked."""


def are_candidates(rule: Candidates, first_seen_s: Tensor, request_time_s: Tensor) -> Tensor:
    """Returns ``(N, V)`` bool: whether an item is a candidate of a request.

    Args:
        rule: See :class:`~seasonrec.evaluation.protocol.Protocol`.
        first_seen_s: ``(V,)`` int64 time of each item's first event, seconds since 1970-01-01 UTC.
        request_time_s: ``(N,)`` int64 time of each request.
    """
    if rule == "all":
        return torch.ones(len(request_time_s), len(first_seen_s), dtype=torch.bool, device=first_seen_s.device)
    return first_seen_s[None, :] <= request_time_s[:, None]  # (N, V)


class CandidateFilter:
    """Check of a scorer's logits, and mask of the items that are no candidates.

    The items are sorted by their first events. Requests after the last of these events need no mask. Other requests
    need a mask only over the items that appear after the earliest request.
    """

    def __init__(self, rule: Candidates, log: EventLog) -> None:
        self.rule = rule
        self.log = log
        self.first_seen_s = torch.from_numpy(np.array(log.item_first_seen_s))
        self.ordered_s, self.order = torch.sort(self.first_seen_s)

    def __call__(self, name: str, scores: Tensor, requests: Requests) -> Tensor:
        """Returns ``(N, V)`` float32 logits, ``-inf`` where an item is no candidate; a copy if any value changes.

        Args:
            name: Name of the scorer, for messages.
            scores: ``(N, V)`` logits of the scorer.
            requests: The ``N`` requests.

        Raises:
            ValueError: If the scores have the wrong shape, or the score of a candidate is not finite.
        """
        self._refuse_shape(name, scores, (len(requests), self.log.num_items))
        scores = scores.float()
        if not bool(torch.isfinite(scores.sum())):  # one fast pass; the sum alone may overflow
            self._refuse_non_finite(name, scores, requests)
        return self._masked(scores, torch.from_numpy(requests.times_s))

    def _masked(self, scores: Tensor, times_s: Tensor) -> Tensor:
        if self.rule == "all" or not len(times_s):
            return scores
        late = self.order[int(torch.searchsorted(self.ordered_s, times_s.min(), right=True)) :]
        if not len(late):
            return scores
        if len(late) > FEW * len(self.order):
            return scores.masked_fill((self.first_seen_s > times_s[:, None]).to(scores.device), -math.inf)
        unavailable = (self.first_seen_s[late] > times_s[:, None]).to(scores.device)
        late = late.to(scores.device)
        masked = scores.clone()
        masked[:, late] = scores[:, late].masked_fill(unavailable, -math.inf)
        return masked

    @staticmethod
    def _refuse_shape(name: str, scores: Tensor, expected: tuple[int, int]) -> None:
        if tuple(scores.shape) != expected:
            raise UserError(
                f"{name}.score must give (requests, items) = {expected}, got {tuple(scores.shape)}; "
                "score every item of the catalogue, the evaluator masks those that are no candidates."
            )

    def _refuse_non_finite(self, name: str, scores: Tensor, requests: Requests) -> None:
        candidates = are_candidates(self.rule, self.first_seen_s, torch.from_numpy(requests.times_s))
        broken = candidates.to(scores.device) & ~torch.isfinite(scores)
        if bool(broken.any()):
            row, item = (int(place) for place in broken.nonzero()[0])
            user = self.log.users["user_id"][int(requests.users[row])]
            raise UserError(
                f"{name}.score must be finite for every candidate, got {float(scores[row, item])} for user {user} "
                f"at second {int(requests.times_s[row])}, item {self.log.items['item_id'][item]}; look for the "
                "logarithm of zero, a division by zero or an overflow."
            )
