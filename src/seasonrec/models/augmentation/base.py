"""Interface and helpers of the augmentations of event sequences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch


class Augmentation(Protocol):
    """Random change of training windows; validation and test are never augmented.

    The constructor takes the options, then ``*, facts: Facts, log: EventLog | None``. The same batch and generator
    state give the same result. A call may change only ``item_ids``, ``timestamps_s``, ``is_padding``, ``behaviours``
    and ``request_position``. A request reads only events before its own time: no event moves across a request's
    position or to a time without an event of the user. A request with a non-empty history keeps at least one event.
    """

    def __call__(self, batch: SequenceBatch, random: np.random.Generator) -> SequenceBatch:
        """Returns an augmented copy of the batch."""
        ...


Factory = Callable[..., Augmentation]
"""Augmentation class with its options bound; called with ``facts=`` and ``log=``."""


def uniform(random: np.random.Generator, like: Tensor) -> Tensor:
    """Draws float64 numbers from [0, 1) with the shape and device of ``like``."""
    return torch.from_numpy(random.random(tuple(like.shape))).to(like.device)


def num_events(batch: SequenceBatch) -> Tensor:
    """Returns the number of events ``(B,)`` of each window."""
    return (~batch.is_padding).sum(1)


def shortest_history(batch: SequenceBatch) -> Tensor:
    """Returns the length ``(B,)`` of the shortest non-empty history of each window's requests; 0 without any."""
    none = batch.is_padding.shape[1] + 1
    position = torch.where(batch.request_position > 0, batch.request_position, none)
    shortest = torch.full((len(batch.item_ids),), none, dtype=torch.int64, device=position.device)
    shortest = shortest.scatter_reduce(0, batch.request_window, position, "amin")
    return torch.where(shortest == none, 0, shortest)


def without_oldest(batch: SequenceBatch, dropped: Tensor, num_items: int) -> SequenceBatch:
    """Removes the oldest events of windows, and shifts the other events and the requests' positions.

    Args:
        batch: Windows of any width; columns that become empty in all windows are removed.
        dropped: ``(B,)`` int64, number of events to drop, in ``0..num_events``.
        num_items: ``V``.
    """
    left = num_events(batch) - dropped
    columns = torch.arange(max(int(left.max()), 1), device=left.device)
    is_padding = columns >= left[:, None]  # (B, T')
    source = (columns + dropped[:, None]).clamp(max=batch.item_ids.shape[1] - 1)
    return replace(
        batch,
        item_ids=batch.item_ids.gather(1, source).masked_fill(is_padding, num_items),
        timestamps_s=batch.timestamps_s.gather(1, source).masked_fill(is_padding, 0),
        is_padding=is_padding,
        behaviours=batch.told(lambda told: told.gather(1, source).masked_fill(is_padding, 0)),
        request_position=(batch.request_position - dropped[batch.request_window]).clamp(min=0),
    )
