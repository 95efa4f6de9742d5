"""Where the targets stand among all candidates: counts instead of a sort."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from seasonrec.evaluation.protocol import Candidates

COMPARISONS_PER_CHUNK = 2**23
"""Score comparisons held in memory at once, 32 MiB of float32."""


def are_candidates(rule: Candidates, first_seen_s: Tensor, request_time_s: Tensor) -> Tensor:
    """Which items may be ranked for which request.

    Args:
        rule: See :class:`~seasonrec.evaluation.protocol.Protocol`.
        first_seen_s: Time of each item's first event, seconds since 1970-01-01 UTC.
        request_time_s: Time of each request.

    Shape:
        - first_seen_s: ``(V,)``, int64.
        - request_time_s: ``(N,)``, int64.
        - output: ``(N, V)``, bool.
    """
    if rule == "all":
        return torch.ones(len(request_time_s), len(first_seen_s), dtype=torch.bool)
    return first_seen_s[None, :] <= request_time_s[:, None]  # (N, V)


def rank_targets(scores: Tensor, target_request: Tensor, target_items: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Counts the candidates above and level with every target, and gives the bits that the target costs.

    Equal scores are kept as a count, so that a metric can take the expectation over their orders: ranking them by index
    would reward whatever the index means.

    Args:
        scores: Logits; -inf marks an item that is no candidate.
        target_request: The row of ``scores`` that each target belongs to.
        target_items: The target itself.

    Shape:
        - scores: ``(N, V)``, float.
        - target_request, target_items: ``(M,)``, int64.

    Returns:
        ``(greater, ties, bits)``, each ``(M,)``: candidates scored strictly higher (int32), candidates scored equal
        with the target itself among them (int32), and -log2 of the target's softmax probability among the candidates
        (float32).

    Raises:
        ValueError: If a score is NaN or +inf, or a target is no candidate of its request.
    """
    scores = scores.float()
    _refuse_non_finite(scores)
    own = scores[target_request, target_items]  # (M,)
    _refuse_unborn(own, target_request, target_items)
    greater = torch.empty(len(own), dtype=torch.int32, device=scores.device)
    ties = torch.empty_like(greater)
    step = max(1, COMPARISONS_PER_CHUNK // max(1, scores.shape[1]))
    for start in range(0, len(own), step):
        part = slice(start, start + step)
        rows, level = scores[target_request[part]], own[part, None]  # (m, V), (m, 1)
        greater[part] = torch.count_nonzero(rows > level, dim=1).int()
        ties[part] = torch.count_nonzero(rows == level, dim=1).int()
    log_partition = torch.logsumexp(scores, dim=1)  # (N,)
    bits = (log_partition[target_request] - own).clamp_min(0.0) / math.log(2.0)
    return greater, ties, bits


def top_items(scores: Tensor, length: int) -> Tensor:
    """The best candidates of every request, best first; equal scores in no particular order.

    Args:
        scores: ``(N, V)`` logits; -inf marks an item that is no candidate.
        length: Items asked for.

    Returns:
        ``(N, min(length, V))`` int32 items; -1 where a request has fewer candidates.
    """
    values, items = torch.topk(scores, min(length, scores.shape[1]), dim=1)
    return items.int().masked_fill(values == -math.inf, -1)


def _refuse_non_finite(scores: Tensor) -> None:
    broken = torch.isnan(scores) | (scores == math.inf)
    if bool(broken.any()):
        request, item = (int(place) for place in broken.nonzero()[0])
        raise ValueError(
            f"scores must be finite (or -inf where an item is no candidate), got {float(scores[request, item])} for "
            f"request {request} and item {item}; look for a division by zero or an overflow in the scorer."
        )


def _refuse_unborn(own: Tensor, target_request: Tensor, target_items: Tensor) -> None:
    unborn = own == -math.inf
    if bool(unborn.any()):
        place = int(unborn.nonzero()[0])
        raise ValueError(
            f"an item ranked before it existed: target item {int(target_items[place])} of request "
            f"{int(target_request[place])} is no candidate; its first event must lie at or before the request."
        )
