"""Exact split of a target's bits: those of its side of a partition, and those of the item within the side.

A mean of bits over targets chosen by their outcome rewards a scorer that exaggerates them. The partition is fixed
before the request, so both terms are proper scores: ``-log2 p(i) = -log2 P(side of i) - log2 p(i | side of i)``.

References:
    Lerch, Thorarinsdottir, Ravazzolo and Gneiting, "Forecaster's dilemma: extreme events and forecast evaluation",
    Statistical Science, 2017.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from seasonrec.evaluation.ranking.counting import count_above_and_level

SMALLEST_MASS = 1e-30
"""Mass of a side, relative to the row's best item, below which it is summed again with its own maximum."""


class SplitBits(NamedTuple):
    """Sides and bits of ``M`` targets.

    Args:
        side: ``(M,)`` bool, whether the target is on the first side.
        of_side: ``(M,)`` -log2 of the probability of the target's side.
        within: ``(M,)`` -log2 of the target's probability within its side.
    """

    side: Tensor
    of_side: Tensor
    within: Tensor


class BitSplitter:
    """Split of the bits of some targets at any number of partitions, with one exponential per score.

    Args:
        scores: ``(N, V)`` logits; -inf marks an item that is no candidate.
        target_request: ``(M,)`` int64 row of each target.
        target_items: ``(M,)`` int64 item of each target; one that is no candidate has NaN bits.
    """

    def __init__(self, scores: Tensor, target_request: Tensor, target_items: Tensor) -> None:
        self.scores = scores
        self.request, self.items = target_request, target_items
        self._own = scores[target_request, target_items]
        self._top = scores.amax(dim=1, keepdim=True)  # (N, 1)
        self._relative = (scores - self._top).exp_()  # (N, V) in 0..1

    def __call__(self, is_first: Tensor) -> SplitBits:
        """Splits the bits at a partition, ``(N, V)`` bool and True on the first side; no term is negative."""
        side = is_first[self.request, self.items]  # (M,)
        place = (~side).long()
        masses = self._log_masses(is_first, place)  # (N, 2)
        of_side = -masses.log_softmax(dim=1)[self.request, place]
        within = masses[self.request, place] - self._own
        unavailable = self._own == -math.inf
        of_side, within = (
            bits.clamp_min(0.0).masked_fill(unavailable, math.nan) / math.log(2.0) for bits in (of_side, within)
        )
        return SplitBits(side, of_side, within)

    def _log_masses(self, is_first: Tensor, place: Tensor) -> Tensor:
        relative = self._relative
        sums = torch.stack([relative.masked_fill(is_not, 0.0).sum(dim=1) for is_not in (~is_first, is_first)], dim=1)
        masses = sums.log() + self._top
        small = sums[self.request, place] < SMALLEST_MASS
        if bool(small.any()):
            rows = torch.zeros(len(sums), dtype=torch.bool, device=sums.device)
            rows[self.request[small]] = True
            masses[rows] = log_masses(self.scores[rows], is_first[rows])
        return masses


def log_masses(scores: Tensor, is_first: Tensor) -> Tensor:
    """Returns ``(N, 2)`` natural logarithms of the summed exponentials on the first side and on the other.

    Each side is summed by itself: a difference of two sums would lose the digits of a small side.

    Args:
        scores: ``(N, V)`` logits; -inf marks an item that is no candidate.
        is_first: ``(N, V)`` bool, True on the first side.
    """
    sides = (scores.masked_fill(is_not, -math.inf) for is_not in (~is_first, is_first))
    return torch.stack([torch.logsumexp(side, dim=1) for side in sides], dim=1)


def rank_within_side(
    scores: Tensor, is_first: Tensor, target_request: Tensor, target_items: Tensor, greater: Tensor, ties: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns the candidates of the target's own side above and equal to every target, each ``(M,)`` int32.

    Only the first side is counted, in a narrow table; the other side has the rest of the known counts.

    Args:
        scores: ``(N, V)`` float32 logits; -inf marks an item that is no candidate.
        is_first: ``(N, V)`` bool, True on the first side, which should be the smaller one.
        target_request: ``(M,)`` int64 row of each target.
        target_items: ``(M,)`` int64 item of each target.
        greater: ``(M,)`` candidates above the target on both sides.
        ties: ``(M,)`` candidates equal to the target on both sides, itself included.
    """
    own = scores[target_request, target_items]
    above, level = count_above_and_level(_narrow(scores, is_first), target_request, own)
    side = is_first[target_request, target_items]
    level = torch.where(side, level, ties - level).masked_fill(own == -math.inf, 0)
    return torch.where(side, above, greater - above), level


def _narrow(scores: Tensor, is_first: Tensor) -> Tensor:
    """Returns ``(N, L)`` scores of each row's first side, filled with -inf; ``L`` is the longest row, at least 1."""
    request, item = is_first.nonzero(as_tuple=True)  # (P,), by rising request
    lengths = torch.bincount(request, minlength=len(scores))
    starts = lengths.cumsum(0) - lengths
    place = torch.arange(len(request), device=scores.device) - starts[request]
    width = max(1, int(lengths.max())) if len(scores) else 1
    table = scores.new_full((len(scores), width), -math.inf)
    table[request, place] = scores[request, item]
    return table
