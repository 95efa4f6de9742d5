"""Mask of the items that are no candidates of a request."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from seasonrec.batches.candidates import Candidates, candidates_until_s
from seasonrec.batches.requests import Requests
from seasonrec.data.log import EventLog
from seasonrec.errors import UserError

FEW = 0.25
"""Largest share of late items for which only their columns are masked."""


class CandidateFilter:
    """Check of a scorer's logits, and mask of the items that are no candidates.

    The items are sorted by their first events. Requests after the last of these events need no mask. Other requests
    need a mask only over the items that appear after the earliest end of :func:`candidates_until_s`.
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
        return self._masked(scores, self._until_s(requests))

    def _until_s(self, requests: Requests) -> Tensor:
        return torch.from_numpy(candidates_until_s(self.rule, requests))

    def _masked(self, scores: Tensor, until_s: Tensor) -> Tensor:
        if not len(until_s):
            return scores
        late = self.order[int(torch.searchsorted(self.ordered_s, until_s.min())) :]
        if not len(late):
            return scores
        if len(late) > FEW * len(self.order):
            return scores.masked_fill((self.first_seen_s >= until_s[:, None]).to(scores.device), -math.inf)
        unavailable = (self.first_seen_s[late] >= until_s[:, None]).to(scores.device)
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
        candidates = self.first_seen_s < self._until_s(requests)[:, None]
        broken = candidates.to(scores.device) & ~torch.isfinite(scores)
        if bool(broken.any()):
            row, item = (int(place) for place in broken.nonzero()[0])
            user = self.log.users["user_id"][int(requests.users[row])]
            raise UserError(
                f"{name}.score must be finite for every candidate, got {float(scores[row, item])} for user {user} "
                f"at second {int(requests.times_s[row])}, item {self.log.items['item_id'][item]}; look for the "
                "logarithm of zero, a division by zero or an overflow."
            )
