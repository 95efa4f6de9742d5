"""The targets of a results frame as flat arrays, and every metric of them by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seasonrec.evaluation import metrics
from seasonrec.evaluation.slices import Mask, flat, slice_masks

Floats = NDArray[np.float64]

EVENT_AT_K: dict[str, Callable[..., Floats]] = {"hr": metrics.hit_rate, "ndcg": metrics.ndcg}
BASKET_AT_K: dict[str, Callable[..., Floats]] = {
    "basket_recall": metrics.basket_recall,
    "basket_ndcg": metrics.basket_ndcg,
    "basket_hit": metrics.basket_hit,
}

LOWER_IS_BETTER = ("bits",)
"""Metrics in which a negative difference is a gain."""


def event_metrics(top_ks: Iterable[int]) -> list[str]:
    """Names of the metrics of a target alone."""
    return [*(f"{kind}@{k}" for kind in EVENT_AT_K for k in top_ks), "mrr", "bits"]


def basket_metrics(top_ks: Iterable[int]) -> list[str]:
    """Names of the metrics of a basket's set of targets."""
    return [f"{kind}@{k}" for kind in BASKET_AT_K for k in top_ks]


@dataclass(frozen=True)
class RankedEvents:
    """Flat view of a results frame.

    Args:
        users: ``(Q,)`` int64 user of each basket.
        basket: ``(M,)`` int64 basket (row of the frame) of each target.
        greater: ``(M,)``, see :func:`~seasonrec.evaluation.ranking.rank_targets`.
        ties: ``(M,)``.
        bits: ``(M,)`` float64.
        masks: Slices, see :func:`~seasonrec.evaluation.slices.slice_masks`.
    """

    users: NDArray[np.int64]
    basket: NDArray[np.int64]
    greater: NDArray[np.int64]
    ties: NDArray[np.int64]
    bits: Floats
    masks: dict[str, Mask]

    @staticmethod
    def of(frame: pl.DataFrame) -> RankedEvents:
        """Flattens a results frame."""
        sizes = frame["items"].list.len().to_numpy()
        return RankedEvents(
            users=frame["user"].to_numpy().astype(np.int64),
            basket=np.repeat(np.arange(frame.height), sizes),
            greater=flat(frame, "greater").astype(np.int64),
            ties=flat(frame, "ties").astype(np.int64),
            bits=flat(frame, "bits").astype(np.float64),
            masks=slice_masks(frame),
        )

    def mask(self, name: str) -> Mask:
        """The mask of a slice.

        Raises:
            KeyError: If there is no such slice, with those that there are.
        """
        if name not in self.masks:
            raise KeyError(f"no slice {name!r} in these results; there are {', '.join(self.masks)}.")
        return self.masks[name]

    def values(self, slice_name: str, metric: str) -> tuple[NDArray[np.int64], Floats]:
        """A metric's values in a slice, and whose they are.

        Returns:
            ``(users, values)`` of equal length: one entry a target for a metric of targets, one a basket that has a
            target in the slice for a metric of baskets.

        Raises:
            KeyError: If there is no such slice or metric.
        """
        mask = self.mask(slice_name)
        kind, _, k = metric.partition("@")
        if kind in BASKET_AT_K and k.isdecimal():
            baskets, renumbered = np.unique(self.basket[mask], return_inverse=True)
            ranks = self.greater[mask], self.ties[mask]
            return self.users[baskets], BASKET_AT_K[kind](*ranks, renumbered, len(baskets), int(k))
        return self.users[self.basket[mask]], self._event_values(metric)[mask]

    def _event_values(self, metric: str) -> Floats:
        if metric not in self._known:
            self._known[metric] = self._compute(metric)
        return self._known[metric]

    def _compute(self, metric: str) -> Floats:
        kind, _, k = metric.partition("@")
        if kind in EVENT_AT_K and k.isdecimal():
            return EVENT_AT_K[kind](self.greater, self.ties, int(k))
        if metric == "mrr":
            return metrics.reciprocal_rank(self.greater, self.ties)
        if metric == "bits":
            return self.bits
        kinds = ", ".join([*(f"{name}@k" for name in (*EVENT_AT_K, *BASKET_AT_K)), "mrr", "bits"])
        raise KeyError(f"no metric {metric!r}; there are {kinds}.")

    @cached_property
    def _known(self) -> dict[str, Floats]:
        """Values of target metrics computed so far; a report asks for each of them in every slice."""
        return {}
