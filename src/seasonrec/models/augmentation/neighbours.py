"""Neighbours of items: items of the same baskets, or with similar texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from seasonrec.batches.facts import Facts
from seasonrec.data.log import EventLog
from seasonrec.errors import UserError
from seasonrec.models.augmentation.base import uniform
from seasonrec.models.language.text_vectors import TextReader

By = Literal["baskets", "text"]

MAX_BASKETS = 1_000_000
"""Maximum number of counted baskets, evenly spaced in a longer log; limits memory and time."""

CHUNK_PAIRS = 1 << 24
"""Maximum number of (item, item) pairs per chunk."""


@dataclass(frozen=True)
class Neighbours:
    """Nearest items of every item, the nearest first.

    Args:
        ids: ``(V + 1, K)`` int64, filled up with ``V``; the last row, for padding, has only ``V``.
        first_seen_s: ``(V + 1,)`` int64, time of each item's first event; the maximum integer for ``V``.
    """

    ids: Tensor
    first_seen_s: Tensor

    def draw(self, item_ids: Tensor, times_s: Tensor, random: np.random.Generator) -> Tensor:
        """Draws a neighbour of each event's item uniformly from those available at the event's time.

        Args:
            item_ids: ``(B, T)`` int64, in ``0..V``.
            times_s: ``(B, T)`` int64 seconds.
            random: Random generator; one number is drawn per event.

        Returns:
            ``(B, T)`` int64; ``V`` where no neighbour was available.
        """
        ids = self.ids.to(item_ids.device)[item_ids]  # (B, T, K)
        available = self.first_seen_s.to(item_ids.device)[ids] <= times_s[..., None]
        wanted = (uniform(random, item_ids) * available.sum(-1)).floor()
        match = available & (available.cumsum(-1) - 1 == wanted[..., None])  # True for at most one neighbour
        found = ids.gather(-1, match.to(torch.uint8).argmax(-1, keepdim=True)).squeeze(-1)
        return torch.where(match.any(-1), found, len(self.first_seen_s) - 1)


def neighbours(by: By, count: int, reader: str, owner: str, facts: Facts, log: EventLog | None) -> Neighbours:
    """Returns the ``count`` nearest items of every item.

    Args:
        by: ``"baskets"``: items bought together before the validation cut; ``"text"``: items with similar texts, of
            those that were sold before the validation cut.
        count: Number ``K`` of neighbours per item.
        reader: Language model for ``"text"``, see :func:`~seasonrec.models.language.pretrained.resolve`.
        owner: Name of the caller, for messages.
        facts: Facts of the data.
        log: Prepared log, for ``"baskets"``.

    Raises:
        ValueError: If the data lacks what ``by`` needs.
    """
    nearest = _by_text(facts, reader, count, owner) if by == "text" else _by_baskets(facts, log, count, owner)
    num_items = facts.spec.num_items
    ids = np.full((num_items + 1, count), num_items, dtype=np.int64)
    ids[:num_items, : nearest.shape[1]] = nearest
    never = torch.tensor([torch.iinfo(torch.int64).max])
    return Neighbours(torch.from_numpy(ids), torch.cat([facts.item_first_seen_s, never]))


def _by_baskets(facts: Facts, log: EventLog | None, count: int, owner: str) -> NDArray[np.int64]:
    """Returns neighbours ``(V, K)`` by the cosine ``n_ij / sqrt(n_i n_j)`` of training baskets, ties by lower id."""
    if log is None:
        raise UserError(f"{owner}: by=baskets counts the log's baskets, and no log was given; choose by=text.")
    bought = _baskets(log, facts.spec.train_until_s)  # (baskets, V)
    sold = np.sqrt(np.asarray(bought.sum(0)).ravel())
    by_item, found = bought.T.tocsr(), []
    step = max(1, CHUNK_PAIRS // log.num_items)
    for first in range(0, log.num_items, step):
        together = (by_item[first : first + step] @ bought).tocoo()
        items, others = together.row + first, together.col
        score = together.data / (sold[items] * sold[others])
        apart = items != others
        found.append(_top(together.row[apart], others[apart], score[apart], (together.shape[0], count), log.num_items))
    nearest = np.concatenate(found)
    if (nearest == log.num_items).all():
        raise UserError(
            f"{owner}: by=baskets needs two items that share a basket before the validation cut, found none among "
            f"{bought.shape[0]:,} baskets; choose by=text, or augmentation=mask."
        )
    return nearest


def _baskets(log: EventLog, until_s: int) -> sparse.csr_array:
    """Returns a matrix ``(baskets, V)`` of the baskets before a time, with ones for their items."""
    baskets = np.flatnonzero(np.asarray(log.basket_times_s) < until_s)
    baskets = baskets[:: max(1, -(-len(baskets) // MAX_BASKETS))]
    offsets = np.asarray(log.basket_offsets)
    sizes = offsets[baskets + 1] - offsets[baskets]
    ends = np.append(0, np.cumsum(sizes))
    event = np.arange(ends[-1]) - np.repeat(ends[:-1] - offsets[baskets], sizes)
    items = np.asarray(log.event_items)[event]
    return sparse.csr_array((np.ones(len(items)), items, ends), shape=(len(baskets), log.num_items))


def _top(
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    scores: NDArray[np.float64],
    shape: tuple[int, int],
    nothing: int,
) -> NDArray[np.int64]:
    """Returns the columns ``(R, K)`` of the highest scores of each row in descending order, ties by lower column."""
    order = np.lexsort((columns, -scores, rows))
    rows, columns = rows[order], columns[order]
    rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
    kept = rank < shape[1]
    best = np.full(shape, nothing, dtype=np.int64)
    best[rows[kept], rank[kept]] = columns[kept]
    return best


def _by_text(facts: Facts, reader: str, count: int, owner: str) -> NDArray[np.int64]:
    """Returns neighbours ``(V, K)`` by the cosine of the centred text vectors.

    Items first seen after the validation cut are no neighbours, and the mean that centres the vectors leaves them out:
    a training sequence would otherwise tell which items come later.
    """
    if not facts.spec.has_text:
        raise UserError(
            f"{owner}: by=text needs item texts, and this data has none; give the data a text column, or "
            "choose by=baskets."
        )
    vectors = TextReader(reader, facts.cache_dir)(facts.item_texts)
    known = facts.item_is_known.nonzero().squeeze(1)  # (known,)
    vectors = torch.nn.functional.normalize(vectors - vectors[known].mean(0), dim=-1)
    found, step = [], max(1, CHUNK_PAIRS // len(known))
    for first in range(0, len(vectors), step):
        items = torch.arange(first, min(first + step, len(vectors)))
        near = (vectors[items] @ vectors[known].T).masked_fill(items[:, None] == known, -torch.inf)
        best = near.topk(min(count, len(known)))
        found.append(torch.where(best.values > -torch.inf, known[best.indices], len(vectors)))
    return torch.cat(found).numpy()
