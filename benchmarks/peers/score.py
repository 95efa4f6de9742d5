"""Scores of all competitors: NDCG@10 by user from a file of ranked lists, and paired intervals over users."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Truth:
    """Items to predict.

    Args:
        pairs: Distinct ``user_id, item_id``.
        users: ``(U,)`` ids of the users with truth in ascending order, which is the order of the scores.
        counts: ``(U,)`` number of items of each user.
    """

    pairs: pl.DataFrame
    users: pl.Series
    counts: NDArray[np.int64]

    @staticmethod
    def read(path: Path) -> Truth:
        pairs = pl.read_csv(path, schema={"user_id": pl.Int64, "item_id": pl.Int64}).unique()
        counts = pairs.group_by("user_id").len().sort("user_id")
        return Truth(pairs, counts["user_id"], counts["len"].to_numpy().astype(np.int64))


def ndcg(lists: Path, truth: Truth, top_k: int = 10) -> Floats:
    """Returns the NDCG@k ``(U,)`` of each user; 0 for a user without a list.

    Args:
        lists: CSV file ``user_id,item_id,rank``, with ranks from 1.
        truth: Items to predict.
        top_k: Number of ranks that count.

    Raises:
        ValueError: If a user has an item or a rank twice, because a repeated hit would count twice.
    """
    frame = pl.read_csv(lists, schema={"user_id": pl.Int64, "item_id": pl.Int64, "rank": pl.Int64})
    for column in ("item_id", "rank"):
        if frame.select(pl.struct("user_id", column).is_duplicated().any()).item():
            raise ValueError(f"{lists}: each {column} must occur once per user, and one occurs twice.")
    hits = frame.filter(pl.col("rank") <= top_k).join(truth.pairs, on=["user_id", "item_id"], how="semi")
    place = truth.users.search_sorted(hits["user_id"]).to_numpy()
    gains = np.bincount(place, 1.0 / np.log2(hits["rank"].to_numpy() + 1.0), len(truth.users))
    best = np.cumsum(1.0 / np.log2(np.arange(top_k) + 2.0))
    scores: Floats = gains / best[np.minimum(truth.counts, top_k) - 1]
    return scores


def interval(differences: Floats, replicates: int = 2_000, seed: int = 0) -> tuple[float, float]:
    """Returns the 95% percentile interval of the mean of paired differences over resampled users."""
    random = np.random.default_rng(seed)
    means = [differences[random.integers(0, len(differences), len(differences))].mean() for _ in range(replicates)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
