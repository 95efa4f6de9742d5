"""Ranks of the targets among all candidates, by counts instead of a sort of the catalogue."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from seasonrec.errors import UserError
from seasonrec.evaluation.ranking.counting import count_above_and_level

EXPONENTS_AT_ONCE = 2**20
"""Exponentials held in memory at once on a CPU, 4 MiB; the sum of a row does not depend on the other rows."""
BLOCKS_FROM = 2**13
"""Smallest catalogue for the search by blocks on a CPU; see ``benchmarks/ranking.py``."""
BLOCK = 16


def rank_targets(scores: Tensor, target_request: Tensor, target_items: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the counts of candidates above and equal to every target, and the target's bits.

    Equal scores are counted, so that a metric can take the expectation over their orders. An order by index would
    favour some items for no reason.

    Args:
        scores: ``(N, V)`` logits; -inf marks an item that is no candidate.
        target_request: ``(M,)`` int64 row of ``scores`` of each target.
        target_items: ``(M,)`` int64 item of each target.

    Returns:
        ``(greater, ties, bits)``, each ``(M,)``: candidates with a higher score (int32), candidates with an equal
        score, including the target (int32), and -log2 of the target's softmax probability among the candidates
        (float32). A target that is no candidate has all candidates above it, 0 ties and NaN bits.

    Raises:
        ValueError: If a score is NaN or +inf.
    """
    scores = scores.float()
    partition = log_partition(scores)  # (N,)
    own = scores[target_request, target_items]  # (M,)
    unavailable = own == -math.inf
    greater, ties = count_above_and_level(scores, target_request, own)
    bits = (partition[target_request] - own).clamp_min(0.0) / math.log(2.0)
    return greater, ties.masked_fill(unavailable, 0), bits.masked_fill(unavailable, math.nan)


def log_partition(scores: Tensor) -> Tensor:
    """Returns ``(N,)`` natural logarithms of the summed exponentials of ``(N, V)`` float32 logits.

    Raises:
        ValueError: If a score is NaN or +inf; the sums show this without a further pass over the scores.
    """
    step = max(1, EXPONENTS_AT_ONCE // max(1, scores.shape[1])) if scores.device.type == "cpu" else len(scores)
    partition = torch.cat([torch.logsumexp(rows, dim=1) for rows in torch.split(scores, max(1, step))])
    if bool((torch.isnan(partition) | (partition == math.inf)).any()):
        _refuse_non_finite(scores)
    return partition


def top_items(scores: Tensor, length: int) -> Tensor:
    """Returns the best candidates of every request, best first; the order of equal scores is arbitrary.

    Args:
        scores: ``(N, V)`` logits; -inf marks an item that is no candidate.
        length: Number of items per request.

    Returns:
        ``(N, min(length, V))`` int32 items; -1 where a request has fewer candidates.
    """
    values, items = best(scores, length)
    return items.int().masked_fill(values == -math.inf, -1)


def best(scores: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Returns the ``min(length, V)`` greatest of ``(N, V)`` scores and their items, best first."""
    length = min(length, scores.shape[1])
    if scores.device.type != "cpu" or scores.shape[1] < max(BLOCKS_FROM, 2 * length * BLOCK):
        values, items = torch.topk(scores, length, dim=1)
        return values, items
    return best_by_blocks(scores, length)


def best_by_blocks(scores: Tensor, length: int, block: int = BLOCK) -> tuple[Tensor, Tensor]:
    """Returns the same as :func:`best`, from the ``length`` blocks of items with the greatest maxima.

    No other block can hold one of the best, because each of these blocks has an item that is at least as good. Block
    ``w`` holds the items ``w, W + w, 2 W + w ...``, so that the maxima are computed along whole rows of memory. Items
    that fill no block are always included.
    """
    num_blocks = scores.shape[1] // block  # W
    whole = block * num_blocks
    table = scores[:, :whole].reshape(len(scores), block, num_blocks)
    chosen = torch.topk(table.amax(dim=1), length, dim=1, sorted=False).indices  # (N, K)
    inside = (chosen[:, None, :] + torch.arange(0, whole, num_blocks, device=scores.device)[:, None]).flatten(1)
    rest = torch.arange(whole, scores.shape[1], device=scores.device).expand(len(scores), -1)
    items = torch.cat([inside, rest], dim=1)
    values, place = torch.topk(scores.gather(1, items), length, dim=1)
    return values, items.gather(1, place)


def _refuse_non_finite(scores: Tensor) -> None:
    broken = torch.isnan(scores) | (scores == math.inf)
    if bool(broken.any()):
        request, item = (int(place) for place in broken.nonzero()[0])
        raise UserError(
            f"scores must be finite (or -inf where an item is no candidate), got {float(scores[request, item])} for "
            f"request {request} and item {item}; look for a division by zero or an overflow in the scorer."
        )
