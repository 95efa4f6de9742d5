"""Facts of the data for the components of the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.candidates import Candidates
from seasonrec.batches.context.demand import DemandContext
from seasonrec.batches.context.purchases import purchases
from seasonrec.data.features import COLUMN, feature_names
from seasonrec.data.log import EventLog
from seasonrec.data.portions import user_portions
from seasonrec.data.spec import SECONDS_PER_DAY, DataSpec

INTERVAL_PRIOR = 20.0
"""Weight, in number of intervals, of the mean of all items in the mean of one item."""


@dataclass(frozen=True)
class Facts:
    """Facts and sizes with which the components of the model are built.

    Args:
        spec: Facts found in the data.
        item_texts: ``V`` texts, in item order; the item's id if it has no text.
        item_first_seen_s: ``(V,)`` int64, seconds since 1970-01-01 UTC.
        item_train_counts: ``(V,)`` float, events before the validation cut.
        item_interval_days: ``(V,)`` float, mean days between two purchases of the item by one user before the
            validation cut, shrunk towards the mean of all items.
        embedding_dim: Width ``D``.
        max_seq_len: Maximal number of events ``T`` of a window.
        cache_dir: Folder of the cached vectors of frozen texts.
        text_variants: Further wordings of the texts for training, each ``V`` texts in item order.
        item_category_names: ``V`` names of categories, in item order; an empty name if an item has none.
        candidates: Rule of the candidates.
        item_numbers: Features that are numbers, by name: ``(V,)`` float32, NaN where missing.
        item_labels: Features that are categories, by name: ``V`` texts, empty where missing.
        demand: Context of the expected demand, for components that are built after ``demand``; None without one.
    """

    spec: DataSpec
    item_texts: tuple[str, ...]
    item_first_seen_s: Tensor
    item_train_counts: Tensor
    item_interval_days: Tensor
    embedding_dim: int
    max_seq_len: int
    cache_dir: Path
    text_variants: tuple[tuple[str, ...], ...] = ()
    item_category_names: tuple[str, ...] = ()
    candidates: Candidates = "known"
    item_numbers: Mapping[str, Tensor] = field(default_factory=dict)
    item_labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    demand: DemandContext | None = None

    @property
    def item_is_known(self) -> Tensor:
        """``(V,)`` bool, True if the item was seen before the validation cut."""
        return self.item_first_seen_s < self.spec.train_until_s

    @property
    def item_categories(self) -> Tensor:
        """``(V,)`` int64, numbers of the categories in alphabetical order, as in the log."""
        return torch.from_numpy(np.unique(np.asarray(self.item_category_names), return_inverse=True)[1])

    @property
    def text_changed_share(self) -> float:
        """Share of the items with a wording that differs from their text."""
        wordings = zip(self.item_texts, *self.text_variants, strict=True)
        return sum(any(other != text for other in others) for text, *others in wordings) / len(self.item_texts)

    @staticmethod
    def of(log: EventLog, spec: DataSpec, embedding_dim: int, max_seq_len: int, cache_dir: Path) -> Facts:
        """Returns the facts of a log; statistics use events before the validation cut only."""
        counts, intervals_s = _statistics(log, spec.train_until_s)
        features = {name: log.items[COLUMN + name] for name in feature_names(log.items)}
        numbers = {name: values for name, values in features.items() if values.dtype == pl.Float64}
        return Facts(
            spec=spec,
            item_texts=tuple(log.items["text"].fill_null(log.items["item_id"]).to_list()),
            item_first_seen_s=torch.from_numpy(log.item_first_seen_s.astype(np.int64)),
            item_train_counts=torch.from_numpy(counts.astype(np.float32)),
            item_interval_days=torch.from_numpy(intervals_s / SECONDS_PER_DAY).float(),
            embedding_dim=embedding_dim,
            max_seq_len=max_seq_len,
            cache_dir=cache_dir,
            item_category_names=tuple(log.items["category"].cast(pl.String).fill_null("").to_list()),
            item_numbers={
                name: torch.from_numpy(values.cast(pl.Float32).fill_null(np.nan).to_numpy().copy())
                for name, values in numbers.items()
            },
            item_labels={
                name: tuple(values.fill_null("").to_list()) for name, values in features.items() if name not in numbers
            },
        )

    def texts_for(self, reader: str) -> tuple[str, ...]:
        """Returns the item texts for the component ``reader``; prints a note if they are ids."""
        if not self.spec.has_text:
            print(f"note: the items have no text; {reader} reads their ids instead", flush=True)
        return self.item_texts


def _statistics(log: EventLog, until_s: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Returns ``(V,)`` counts and ``(V,)`` mean seconds between two purchases by one user, before a second.

    The log is read in portions; sums of whole seconds are exact, so that the portions do not change the result.
    """
    counts = np.zeros(log.num_items, dtype=np.int64)
    gaps = np.zeros(log.num_items, dtype=np.int64)
    total_s = np.zeros(log.num_items, dtype=np.float64)
    for users in user_portions(log):
        first = np.asarray(log.user_baskets[users])
        until = np.full(len(first), until_s)
        bought = purchases(log, first, log.baskets_before(np.arange(users.start, users.stop), until))
        again = bought.again
        items, gaps_s = bought.items[again], bought.times_s[again] - bought.times_s[again - 1]
        counts += np.bincount(bought.items, minlength=log.num_items)
        gaps += np.bincount(items, minlength=log.num_items)
        total_s += np.bincount(items, weights=gaps_s, minlength=log.num_items)
    overall_s = total_s.sum() / gaps.sum() if gaps.sum() else float(SECONDS_PER_DAY)
    return counts, (total_s + INTERVAL_PRIOR * overall_s) / (gaps + INTERVAL_PRIOR)
