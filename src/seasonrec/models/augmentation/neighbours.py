"""Items that stand in for each other: bought in the same baskets, or described in like words."""

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
"""Baskets that are counted at most; of a longer log, evenly spread ones. Bounds memory and time."""

CHUNK_PAIRS = 1 << 24
"""(item, item) pairs that are looked at at once, at most."""


@dataclass(frozen=True)
class Neighbours:
    """The nearest items of every item, nearest first.

    Args:
        ids: ``(V + 1, K)`` int64; ``V`` where there are no more, and throughout in the last row, that of no event.
        first_seen_s: ``(V + 1,)`` int64, time of each item's first event; beyond all times for ``V``.
    """

    ids: Tensor
    first_seen_s: Tensor

    def draw(self, item_ids: Tensor, times_s: Tensor, random: np.random.Generator) -> Tensor:
        """One neighbour of each event's item, evenly among those that had been sold by then.

        Args:
            item_ids: ``(B, T)`` int64, in ``0..V``.
            times_s: ``(B, T)`` int64 seconds.
            random: Source of the draw; takes one number an event, whatever the events are.

        Returns:
            ``(B, T)`` int64; ``V`` where the item has no neighbour that was alive.
        """
        ids = self.ids.to(item_ids.device)[item_ids]  # (B, T, K)
        alive = self.first_seen_s.to(item_ids.device)[ids] <= times_s[..., None]
        wanted = (uniform(random, item_ids) * alive.sum(-1)).floor()
        match = alive & (alive.cumsum(-1) - 1 == wanted[..., None])  # True at one place at most
        found = ids.gather(-1, match.to(torch.uint8).argmax(-1, keepdim=True)).squeeze(-1)
        return torch.where(match.any(-1), found, len(self.first_seen_s) - 1)


def neighbours(by: By, count: int, reader: str, owner: str, facts: Facts, log: EventLog | None) -> Neighbours:
    """The ``count`` nearest items of every item.

    Args:
        by: ``"baskets"``: bought together before the validation cut; ``"text"``: described in like words.
        count: Neighbours ``K`` of an item at most.
        reader: Language model for ``"text"``, see :func:`~seasonrec.models.language.pretrained.resolve`.
        owner: Who asks, for messages.
        facts: Facts of the data.
        log: The prepared log, for ``"baskets"``.

    Raises:
        ValueError: If ``count`` is below 1, or the data lacks what ``by`` needs.
    """
    if count < 1:
        raise UserError(f"{owner}: num_neighbours must be at least 1, got {count}; try 10.")
    nearest = _by_text(facts, reader, count, owner) if by == "text" else _by_baskets(facts, log, count, owner)
    num_items = facts.spec.num_items
    ids = np.full((num_items + 1, count), num_items, dtype=np.int64)
    ids[:num_items, : nearest.shape[1]] = nearest
    never = torch.tensor([torch.iinfo(torch.int64).max])
    return Neighbours(torch.from_numpy(ids), torch.cat([facts.item_first_seen_s, never]))


def _by_baskets(facts: Facts, log: EventLog | None, count: int, owner: str) -> NDArray[np.int64]:
    """``(V, K)`` by the cosine over training baskets, ``n_ij / sqrt(n_i n_j)``; the lower id of equals comes first."""
    if log is None:
        raise UserError(f"{owner}: by=baskets counts the log's baskets, and there is no log here; choose by=text.")
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
    """The baskets before a second, ``(baskets, V)``, one where an item is in it."""
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
    """``(R, K)`` columns of the highest scores in each row, highest first, the lower column of equals."""
    order = np.lexsort((columns, -scores, rows))
    rows, columns = rows[order], columns[order]
    rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
    kept = rank < shape[1]
    best = np.full(shape, nothing, dtype=np.int64)
    best[rows[kept], rank[kept]] = columns[kept]
    return best


def _by_text(facts: Facts, reader: str, count: int, owner: str) -> NDArray[np.int64]:
    """``(V, K)`` by the cosine of the texts' vectors, less what all texts have in common."""
    if not facts.spec.has_text:
        raise UserError(
            f"{owner}: by=text needs a text for the items, and this data has none; give the data a text column, or "
            "choose by=baskets."
        )
    vectors = TextReader(reader, facts.cache_dir)(facts.item_texts)
    vectors = torch.nn.functional.normalize(vectors - vectors.mean(0), dim=-1)
    found, step = [], max(1, CHUNK_PAIRS // len(vectors))
    for first in range(0, len(vectors), step):
        near = vectors[first : first + step] @ vectors.T
        itself = torch.arange(len(near))
        near[itself, itself + first] = -torch.inf
        found.append(near.topk(min(count, len(vectors) - 1)).indices)
    return torch.cat(found).numpy()
