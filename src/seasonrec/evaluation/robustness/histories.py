"""Changed histories: events swapped with a neighbour, dropped, or shuffled.

Each function changes the sequences of a batch with one sequence per request, as in evaluation. Requests, targets,
labels and contexts stay unchanged, and so do the counts that a habit reads from the log.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from seasonrec.batches.batch import SequenceBatch
from seasonrec.errors import UserError

ChangeHistory = Callable[[SequenceBatch, float, np.random.Generator], SequenceBatch]
"""Function from a batch, the share of events to change, and a random generator to the changed batch."""


def swap(batch: SequenceBatch, share: float, random: np.random.Generator) -> SequenceBatch:
    """Swaps the items of neighbours: every second pair of events, with probability ``share``; times stay in order."""
    lengths, columns = _lengths(batch), np.arange(batch.item_ids.shape[1])
    phase = random.integers(0, 2, (len(lengths), 1))
    first = columns - (columns - phase) % 2  # (N, T) first column of each column's pair
    is_drawn = np.asarray(random.random(first.shape) < share)
    is_drawn = np.take_along_axis(is_drawn, np.maximum(first, 0), axis=1)  # once for both of a pair
    swapped = (first >= 0) & (first + 1 < lengths[:, None]) & is_drawn
    other = np.where(columns == first, columns + 1, columns - 1)
    return _reordered(batch, np.where(swapped, other, columns))


def drop(batch: SequenceBatch, share: float, random: np.random.Generator, *, no_item: int) -> SequenceBatch:
    """Drops every event with probability ``share`` and closes the gaps; ``no_item`` is the item number of padding."""
    lengths, columns = _lengths(batch), np.arange(batch.item_ids.shape[1])
    stays = (random.random(batch.item_ids.shape) >= share) & (columns < lengths[:, None])
    order = torch.from_numpy(np.argsort(~stays, axis=1, kind="stable"))  # (N, T)
    left = torch.from_numpy(stays.sum(1))
    is_padding = torch.from_numpy(columns) >= left[:, None]
    return replace(
        batch,
        item_ids=batch.item_ids.gather(1, order).masked_fill(is_padding, no_item),
        timestamps_s=batch.timestamps_s.gather(1, order).masked_fill(is_padding, 0),
        is_padding=is_padding,
        behaviours=batch.told(lambda told: told.gather(1, order).masked_fill(is_padding, 0)),
        request_position=left,
    )


def shuffle(batch: SequenceBatch, share: float, random: np.random.Generator) -> SequenceBatch:
    """Shuffles the items of events that are selected with probability ``share``; times stay."""
    lengths, columns = _lengths(batch), np.arange(batch.item_ids.shape[1])
    chosen = (random.random(batch.item_ids.shape) < share) & (columns < lengths[:, None])
    late = len(columns) + columns  # after all selected ones, in order
    places = np.argsort(np.where(chosen, columns, late), axis=1)
    drawn = np.argsort(np.where(chosen, random.random(chosen.shape), late), axis=1)
    order = np.empty_like(places)
    np.put_along_axis(order, places, drawn, axis=1)
    return _reordered(batch, order)


def histories(num_items: int) -> dict[str, ChangeHistory]:
    """Returns all changes by name, for a catalogue of ``num_items``."""
    return {"swap": swap, "drop": partial(drop, no_item=num_items), "shuffle": shuffle}


def _lengths(batch: SequenceBatch) -> NDArray[np.int64]:
    """Returns the number of events of each request's sequence, ``(N,)``.

    Raises:
        ValueError: If a training window serves several requests, because a change would affect all of them.
    """
    own = torch.arange(len(batch.item_ids))
    if not torch.equal(batch.request_window, own) or not torch.equal(
        batch.request_position, (~batch.is_padding).sum(1)
    ):
        raise UserError(
            f"a changed history needs one fully read window per request, got {len(batch.item_ids)} windows "
            f"for {batch.num_requests} requests; build the batch as in evaluation, without window_of."
        )
    return batch.request_position.numpy()


def _reordered(batch: SequenceBatch, order: NDArray[np.int64]) -> SequenceBatch:
    moved = torch.from_numpy(order)
    behaviours = batch.told(lambda told: told.gather(1, moved))
    return replace(batch, item_ids=batch.item_ids.gather(1, moved), behaviours=behaviours)
