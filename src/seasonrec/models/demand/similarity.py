"""Likeness of items by their texts: a kernel between near items, and clusters."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2, vq
from scipy.sparse import csr_array

from seasonrec.models.language.text_vectors import TextReader

LEAST_COSINE = 0.35
"""Cosine below which two texts have nothing in common."""

WIDTH = 0.06
"""Width of the kernel, in units of the cosine."""

BLOCK = 1024
"""Items whose cosines with all others are computed at a time."""

NEAREST = 128
"""Neighbours of an item that are kept at most."""

CLUSTERS = 100


@dataclass(frozen=True, eq=False)
class TextGroups:
    """Items that are counted together because of their texts.

    Args:
        kernel: ``(V, V)`` kernel of near texts; None if nothing is counted by ``text``.
        clusters: ``(V,)`` cluster of each text; None if nothing is counted by ``cluster``.
    """

    kernel: csr_array | None = None
    clusters: NDArray[np.int64] | None = None

    @staticmethod
    def of(by: Collection[str], vectors: NDArray[np.float32], is_known: NDArray[np.bool_]) -> TextGroups:
        """Returns the groups that are counted by some of ``text`` and ``cluster``.

        Args:
            by: What is counted together.
            vectors: ``(V, H)`` text vectors at unit length.
            is_known: ``(V,)`` bool, items that may decide where the clusters are.
        """
        kernel = text_kernel(vectors) if "text" in by else None
        return TextGroups(kernel, text_clusters(vectors, is_known) if "cluster" in by else None)

    def together(self, by: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the sums of :class:`~seasonrec.batches.context.item_groups.ItemGroups`, one row at a time."""
        if by == "text":
            return np.stack([self.kernel @ row for row in values])
        if by == "cluster" and self.clusters is not None:
            sums = [np.bincount(self.clusters, row).astype(np.float64) for row in values]
            return np.stack(sums)[:, self.clusters]
        return values


def read_groups(
    by: Collection[str], reader: str, texts: Sequence[str], is_known: NDArray[np.bool_], cache_dir: Path
) -> TextGroups:
    """Returns the groups of texts, as a language model reads them.

    Args:
        by: What is counted together.
        reader: Language model, see :func:`~seasonrec.models.language.pretrained.resolve`.
        texts: ``V`` texts of the items.
        is_known: ``(V,)`` bool, items that may decide where the clusters are.
        cache_dir: Folder of the cached vectors of texts.
    """
    return TextGroups.of(by, TextReader(reader, cache_dir)(texts).numpy(), is_known)


def text_kernel(vectors: NDArray[np.float32]) -> csr_array:
    """Returns the ``(V, V)`` kernel ``exp((cos - 1) / 0.06)`` of near texts, 0 below a cosine of 0.35.

    Args:
        vectors: ``(V, H)`` text vectors at unit length.
    """
    count = len(vectors)
    parts = [_near(vectors, first, min(first + BLOCK, count)) for first in range(0, count, BLOCK)]
    rows, columns, cosines = (np.concatenate(part) for part in zip(*parts, strict=True))
    values = np.exp((np.minimum(cosines.astype(np.float64), 1.0) - 1.0) / WIDTH)
    return csr_array((values, (rows, columns)), shape=(count, count))


def _near(
    vectors: NDArray[np.float32], first: int, stop: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Returns rows, columns and cosines of the near pairs of the items ``first:stop``."""
    cosine = vectors[first:stop] @ vectors.T
    cosine[np.arange(stop - first), np.arange(first, stop)] = 1.0
    if cosine.shape[1] > NEAREST:
        least = np.partition(cosine, -NEAREST, axis=1)[:, -NEAREST]
        cosine[cosine < np.maximum(least, LEAST_COSINE)[:, None]] = 0.0
    row, column = np.nonzero(cosine >= LEAST_COSINE)
    return row + first, column, cosine[row, column]


def text_clusters(vectors: NDArray[np.float32], is_known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Returns the ``(V,)`` cluster of each text; the centres are those of the known items' texts.

    Args:
        vectors: ``(V, H)`` text vectors.
        is_known: ``(V,)`` bool, items that may decide where the centres are.
    """
    known = vectors[is_known].astype(np.float64)
    if len(np.unique(known, axis=0)) <= CLUSTERS:
        centres = np.unique(known, axis=0)
    else:
        centres, _ = kmeans2(known, CLUSTERS, minit="++", seed=np.random.default_rng(0), missing="warn")
    return vq(vectors.astype(np.float64), centres)[0].astype(np.int64)
