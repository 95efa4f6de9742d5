"""Series of each item: the item itself, its category, or its cluster of texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seasonrec.data.log import EventLog
from seasonrec.errors import UserError
from seasonrec.forecast.series import SeriesOptions

SHOWN = 40
"""Letters of a text in a name."""


def series_of_items(
    log: EventLog, options: SeriesOptions, known_until_s: int, cache_dir: Path
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Returns the names of the ``S`` series, and ``(V,)`` int64 the series of each item.

    Args:
        log: The prepared log.
        options: Options of the series.
        known_until_s: Second of the first origin; only the texts of earlier items decide where the clusters lie.
        cache_dir: Folder of the cached text vectors.

    Raises:
        UserError: If the items have no categories or no texts where these are needed.
    """
    if options.level == "item":
        return tuple(log.items["item_id"].to_list()), np.arange(log.num_items)
    if options.level == "category":
        categories = log.items["category"].cast(pl.String)
        if categories.null_count() == len(categories):
            raise UserError("series.level=category needs items with categories, got none; choose item or cluster.")
        names, series = np.unique(categories.fill_null("(none)").to_numpy(), return_inverse=True)
        return tuple(map(str, names)), series.astype(np.int64)
    return _clusters(log, options, known_until_s, cache_dir)


def _clusters(
    log: EventLog, options: SeriesOptions, known_until_s: int, cache_dir: Path
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    from seasonrec.models.demand.similarity import text_clusters
    from seasonrec.models.language.text_vectors import TextReader

    texts = log.items["text"]
    if texts.null_count() == len(texts):
        raise UserError("series.level=cluster needs items with texts, got none; choose series.level=item.")
    words = texts.fill_null(log.items["item_id"]).to_list()
    is_known = np.asarray(log.item_first_seen_s) < known_until_s
    if not is_known.any():
        raise UserError("an origin must have items sold before it, got none; lower origins, step or horizon.")
    found = text_clusters(TextReader(options.reader, cache_dir)(words).numpy(), is_known)
    numbers, series = np.unique(found, return_inverse=True)
    first_seen = np.asarray(log.item_first_seen_s)
    firsts = [min(np.flatnonzero(series == one), key=lambda item: first_seen[item]) for one in range(len(numbers))]
    names = tuple(f"{number}: {words[item][:SHOWN]}" for number, item in zip(numbers, firsts, strict=True))
    return names, series.astype(np.int64)
