"""View that each request has of a training batch, whose windows serve several requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.context.base import ContextValue, DayTables
from seasonrec.data.log import EventLog

TRUTH = ("target_items", "target_request", "unavailable", "basket_ids", "sample", "labels", "weight", "domain")
"""Fields of a batch that hold or name the truth, for losses and metrics; inputs must not show it."""

EVENTS = ("item_ids", "timestamps_s", "is_padding", "behaviours")
"""Fields of a batch with a value for each event of a window; ``behaviours`` may be None."""

REQUESTS = ("request_position", "request_time_s", "candidates_until_s", "user_ids")
"""Fields of a batch with a value for each request that the model may read."""

Key = tuple[int, ...]
"""User and second of a request."""

View = Mapping[str, Any]
"""Everything that the model may read of one request, by name."""


def views(batches: Iterable[SequenceBatch], until_s: int, by_position: bool = False) -> dict[Key, View]:
    """Returns the view of each request of batches up to a second.

    Args:
        batches: Batches of any windows.
        until_s: Second of the last request.
        by_position: Whether the keys also hold the position in the window. An augmentation may move a position, and
            then the views of two augmentations say nothing.
    """
    found: dict[Key, View] = {}
    for batch in batches:
        for request in torch.nonzero(batch.request_time_s <= until_s).flatten().tolist():
            key = (int(batch.user_ids[request]), int(batch.request_time_s[request]))
            found[(*key, int(batch.request_position[request])) if by_position else key] = _view(batch, request)
    return found


def _view(batch: SequenceBatch, request: int) -> View:
    window, position = int(batch.request_window[request]), int(batch.request_position[request])
    told = {name: getattr(batch, name) for name in EVENTS}
    events = {name: values[window, :position] for name, values in told.items() if values is not None}
    own = {name: getattr(batch, name)[request] for name in REQUESTS}
    context = {name: _of_request(value, request) for name, value in batch.context.items()}
    return {**events, **own, "context": context}


def _of_request(value: ContextValue, request: int) -> Any:
    """Returns the context of a request alone; of tables by day, the rows of its day."""
    own = value.rows(request, request + 1)
    if not isinstance(own, DayTables):
        return own
    tables = {field.name: getattr(own, field.name) for field in fields(own) if field.name != "row"}
    return {name: table[own.row] for name, table in tables.items()}


def chosen_users(log: EventLog, baskets: NDArray[np.int64], users: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Returns the first of some users, rising, who have at most ``size`` of the baskets together, and at least one."""
    counts = np.bincount(log.basket_users[baskets], minlength=log.num_users)
    chosen, left = [], size
    for user in dict.fromkeys(users.tolist()):
        if counts[user] <= left:
            chosen.append(user)
            left -= int(counts[user])
    return np.sort(chosen) if chosen else users[[np.argmin(counts[users])]]


def first_of_last(log: EventLog, baskets: NDArray[np.int64], size: int) -> int:
    """Returns the second from which on ``size`` of the baskets lie, or all; more where several share that second."""
    times_s = np.sort(np.asarray(log.basket_times_s)[baskets])
    return int(times_s[max(len(times_s) - size, 0)])
