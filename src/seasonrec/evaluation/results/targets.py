"""Targets of a results frame as flat arrays, and their metrics by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seasonrec.evaluation import metrics
from seasonrec.evaluation.groups.columns import (
    GROUP_BITS,
    RANKED,
    SIDES,
    group_columns_in,
    is_partition,
    partition_of,
)
from seasonrec.evaluation.slices.masks import Mask, flat, slice_masks

Floats = NDArray[np.float64]

EVENT_AT_K: dict[str, Callable[..., Floats]] = {"hr": metrics.hit_rate, "ndcg": metrics.ndcg}
BASKET_AT_K: dict[str, Callable[..., Floats]] = {
    "basket_recall": metrics.basket_recall,
    "basket_ndcg": metrics.basket_ndcg,
    "basket_hit": metrics.basket_hit,
}

METRIC_NAMES = (
    *(f"{kind}@10" for kind in (*EVENT_AT_K, *BASKET_AT_K)), "mrr", "bits", *GROUP_BITS,
    *(f"{kind}@10@{side}" for kind in EVENT_AT_K for side in SIDES[RANKED]),
)  # fmt: skip
"""Names of all metrics; 10 stands for any length of a list."""


def is_metric(name: str) -> bool:
    """Returns whether a metric has this name."""
    kind, _, place = name.partition("@")
    of_words = (kind == "bits_group" and is_partition(place)) or (kind == "bits_within" and partition_of(place))
    return bool(of_words) or re.sub("@[1-9][0-9]*", "@10", name, count=1) in METRIC_NAMES


def lower_is_better(name: str) -> bool:
    """Returns whether a negative difference of a metric is a gain."""
    return name.partition("@")[0] in ("bits", "bits_group", "bits_within")


def event_metrics(top_ks: Iterable[int]) -> list[str]:
    """Returns the names of the metrics of single targets."""
    return [*(f"{kind}@{k}" for kind in EVENT_AT_K for k in top_ks), "mrr", "bits"]


def basket_metrics(top_ks: Iterable[int]) -> list[str]:
    """Returns the names of the metrics of a basket's set of targets."""
    return [f"{kind}@{k}" for kind in BASKET_AT_K for k in top_ks]


@dataclass(frozen=True)
class RankedEvents:
    """Flat view of a results frame.

    Args:
        users: ``(Q,)`` int64 user of each basket.
        basket: ``(M,)`` int64 basket (row of the frame) of each target.
        greater, ties, bits: ``(M,)``, see :func:`~seasonrec.evaluation.ranking.ranks.rank_targets`; a target without
            ties is no candidate, and its bits are NaN.
        masks: Slices, see :func:`~seasonrec.evaluation.slices.masks.slice_masks`.
        columns: Columns of the partitions by name, each ``(M,)``; none in results of older versions.
    """

    users: NDArray[np.int64]
    basket: NDArray[np.int64]
    greater: NDArray[np.int64]
    ties: NDArray[np.int64]
    bits: Floats
    masks: dict[str, Mask]
    columns: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)

    @property
    def unavailable(self) -> int:
        """Number of targets that are no candidates of their requests."""
        return int((self.ties == 0).sum())

    @property
    def gap_births(self) -> int:
        """Number of targets that were first sold between the end of the history and the request."""
        return int(self.masks["gap_births"].sum()) if "gap_births" in self.masks else 0

    def ceilings(self, top_ks: Iterable[int]) -> dict[str, float]:
        """Returns the largest possible mean over all targets of each ``hr@k`` and ``ndcg@k``, by name."""
        sizes = np.bincount(self.basket[self.ties > 0])
        names = [(kind, k) for kind in EVENT_AT_K for k in top_ks]
        return {f"{kind}@{k}": metrics.ceiling(kind, sizes, k, len(self.ties)) for kind, k in names}

    @staticmethod
    def of(frame: pl.DataFrame) -> RankedEvents:
        """Returns the flat view of a results frame."""
        sizes = frame["items"].list.len().to_numpy()
        return RankedEvents(
            users=frame["user"].to_numpy().astype(np.int64),
            basket=np.repeat(np.arange(frame.height), sizes),
            greater=flat(frame, "greater").astype(np.int64),
            ties=flat(frame, "ties").astype(np.int64),
            bits=flat(frame, "bits").astype(np.float64),
            masks=slice_masks(frame),
            columns={name: flat(frame, name) for name in group_columns_in(frame)},
        )

    def slice(self, name: str) -> SliceOfTargets:
        """Returns the targets of a slice, selected once for all metrics.

        Raises:
            KeyError: If there is no such slice; the message names the slices.
        """
        if name not in self.masks:
            raise KeyError(f"no slice {name!r} in these results; there are {', '.join(self.masks)}.")
        return SliceOfTargets(self, np.flatnonzero(self.masks[name]))

    def values(self, slice_name: str, metric: str) -> tuple[NDArray[np.int64], Floats]:
        """Returns a metric's values in a slice, with their users.

        Returns:
            ``(users, values)`` of equal length: one entry per counted target for a metric of targets, one per basket
            with a target in the slice for a metric of baskets.

        Raises:
            KeyError: If there is no such slice or metric.
        """
        chosen = self.slice(slice_name)
        return chosen.owners(metric), chosen.values(metric)

    def event_values(self, metric: str) -> Floats:
        """Returns ``(M,)`` values of a metric of targets, computed once; NaN where it does not count a target.

        Raises:
            KeyError: If there is no such metric.
        """
        if metric not in self._known:
            self._known[metric] = self._compute(metric)
        return self._known[metric]

    def _compute(self, metric: str) -> Floats:
        if not is_metric(metric):
            raise KeyError(f"no metric {metric!r}; there are {', '.join(METRIC_NAMES).replace('@10', '@k')}.")
        if metric == "bits":
            return self.bits
        if metric == "mrr":
            return metrics.reciprocal_rank(self.greater, self.ties)
        kind, _, place = metric.rpartition("@")
        if is_partition(place) or partition_of(place) is not None:
            return self._of_partition(kind, place)
        return EVENT_AT_K[kind](self.greater, self.ties, int(place))

    def _of_partition(self, kind: str, place: str) -> Floats:
        """Returns ``(M,)`` values of a metric of a partition or of one of its sides."""
        partition, is_first = partition_of(place) or (place, True)
        if partition not in self.columns:
            raise KeyError(f"no metric {kind}@{place} in these results; evaluate the run with this protocol again.")
        if kind == "bits_group":
            return self.columns[f"bits_{partition}"].astype(np.float64)
        if kind == "bits_within":
            values = self.bits - self.columns[f"bits_{partition}"].astype(np.float64)
        else:
            name, _, length = kind.partition("@")
            counts = (self.columns[f"{each}_{partition}"] for each in ("greater", "ties"))
            values = EVENT_AT_K[name](*counts, int(length))
        return np.where(self.columns[partition].astype(np.bool_) == is_first, values, np.nan)

    @cached_property
    def _known(self) -> dict[str, Floats]:
        """Values of target metrics computed so far, because a report needs each of them in every slice."""
        return {}


@dataclass(frozen=True)
class SliceOfTargets:
    """Selected targets, and the baskets that hold them.

    Args:
        events: All targets.
        places: ``(m,)`` int64 indices of the selected targets, ascending.
    """

    events: RankedEvents
    places: NDArray[np.int64]

    @cached_property
    def baskets(self) -> NDArray[np.int64]:
        """``(q,)`` rows of the frame with a selected target, ascending."""
        return self._basket[self._is_first]

    @cached_property
    def users(self) -> NDArray[np.int64]:
        """``(q,)`` user of each of these baskets."""
        return self.events.users[self.baskets]

    def owners(self, metric: str) -> NDArray[np.int64]:
        """Returns the user of each entry of :meth:`values`."""
        if _is_of_baskets(metric):
            return self.users
        counts = ~np.isnan(self.events.event_values(metric)[self.places])
        return self.users[self._number[counts]]

    def values(self, metric: str) -> Floats:
        """Returns a value for each target that the metric counts, or ``(q,)`` values of a metric of baskets.

        Bits leave out targets that are no candidates, and metrics of a side those of the other side.

        Raises:
            KeyError: If there is no such metric.
        """
        if not _is_of_baskets(metric):
            values = self.events.event_values(metric)[self.places]
            return values[~np.isnan(values)]
        kind, _, k = metric.partition("@")
        number, num_baskets = self._number, len(self.baskets)
        if kind == "basket_recall":
            return metrics.recall_of_hits(self.values(f"hr@{k}"), number, num_baskets)
        if kind == "basket_ndcg":
            return metrics.ndcg_of_gains(self.values(f"ndcg@{k}"), number, num_baskets, int(k))
        greater, ties = self.events.greater[self.places], self.events.ties[self.places]
        return BASKET_AT_K[kind](greater, ties, number, num_baskets, int(k))

    @cached_property
    def _basket(self) -> NDArray[np.int64]:
        return self.events.basket[self.places]

    @cached_property
    def _is_first(self) -> Mask:
        """``(m,)``: whether a target is the first of its basket; targets are sorted by basket."""
        return np.diff(self._basket, prepend=-1) > 0

    @cached_property
    def _number(self) -> NDArray[np.int64]:
        """``(m,)``: index of each target's basket in ``baskets``."""
        return np.cumsum(self._is_first) - 1


def _is_of_baskets(metric: str) -> bool:
    kind, _, k = metric.partition("@")
    return kind in BASKET_AT_K and k.isdecimal()
