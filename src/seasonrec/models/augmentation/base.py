"""What an augmentation of event sequences must keep to, and the two moves that all of them are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.errors import UserError


class Augmentation(Protocol):
    """Makes training windows more varied; validation and test never see it.

    Built with its options, then ``*, facts: Facts, log: EventLog | None``; holds no state that a call changes, so that
    the same batch and the same generator give the same result. Works on all windows at once. Only ``item_ids``,
    ``timestamps_s``, ``is_padding`` and ``request_position`` may differ from what came in. Whatever a request reads
    stays before its own time: no event is moved across a request's position or to a time at which the user did
    nothing. Targets, request times and contexts are never touched, and a request that had something to read keeps
    something to read.
    """

    def __call__(self, batch: SequenceBatch, random: np.random.Generator) -> SequenceBatch:
        """The batch with other events in its windows; the one that came in is left as it was."""
        ...


Part = Callable[..., Augmentation]
"""An augmentation with its options bound; called with ``facts=`` and ``log=``."""


def check_share(owner: str, name: str, value: float, remedy: str = "0 leaves every event as it is") -> float:
    """A share or a chance, as it was given.

    Raises:
        ValueError: If it lies outside [0, 1].
    """
    if not 0.0 <= value <= 1.0:
        raise UserError(f"{owner}: {name} must lie in [0, 1], got {value}; {remedy}.")
    return value


def uniform(random: np.random.Generator, like: Tensor) -> Tensor:
    """Numbers from [0, 1) in float64, of the shape and on the device of ``like``."""
    return torch.from_numpy(random.random(tuple(like.shape))).to(like.device)


def num_events(batch: SequenceBatch) -> Tensor:
    """``(B,)`` events of each window."""
    return (~batch.is_padding).sum(1)


def shortest_reading(batch: SequenceBatch) -> Tensor:
    """``(B,)`` events that the least of a window's requests reads, requests that read nothing aside; 0 without any."""
    none = batch.is_padding.shape[1] + 1
    position = torch.where(batch.request_position > 0, batch.request_position, none)
    shortest = torch.full((len(batch.item_ids),), none, dtype=torch.int64, device=position.device)
    shortest = shortest.scatter_reduce(0, batch.request_window, position, "amin")
    return torch.where(shortest == none, 0, shortest)


def without_oldest(batch: SequenceBatch, dropped: Tensor, num_items: int) -> SequenceBatch:
    """Takes events off the front of windows and moves the rest, and the requests' positions, up.

    Args:
        batch: Windows of any width; columns that end up empty in all of them are taken away.
        dropped: ``(B,)`` int64, events to drop, in ``0..num_events``.
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
        request_position=(batch.request_position - dropped[batch.request_window]).clamp(min=0),
    )
