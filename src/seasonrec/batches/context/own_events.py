"""Last known events of the user, with their times."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.context.clock import clock_places
from seasonrec.batches.requests import Requests
from seasonrec.data.log import EventLog
from seasonrec.data.spec import SECONDS_PER_DAY, DataSpec


@dataclass(frozen=True)
class OwnEvents:
    """Last ``L`` known events of each request's user, the newest first; ``N`` requests.

    Args:
        items: ``(N, L)`` int64; 0 where there is no event.
        places: ``(N, L, 5)`` int64, see :data:`~seasonrec.batches.context.clock.PLACES`; 0 where there is no event.
        log_days: ``(N, L)`` float, days since the first event of the log, with fractions; 0 where there is no event.
        is_padding: ``(N, L)`` bool, True where there is no event.
    """

    items: Tensor
    places: Tensor
    log_days: Tensor
    is_padding: Tensor

    def rows(self, start: int, stop: int) -> OwnEvents:
        return OwnEvents(**{field.name: getattr(self, field.name)[start:stop] for field in fields(self)})


@dataclass(frozen=True)
class OwnEventsContext:
    """Options of :class:`OwnEvents`.

    Args:
        max_events: Number ``L`` of events.
    """

    max_events: int
    name: str = "own_events"

    def bind(self, log: EventLog, spec: DataSpec) -> OwnEventsIndex:
        return OwnEventsIndex(log, spec.first_time_s, self.max_events)


class OwnEventsIndex:
    """Index of :class:`OwnEvents`; it reads the end of the known history and not the time of the request.

    Args:
        log: The prepared log.
        first_time_s: Time of the first event of the log.
        max_events: Number of events.
    """

    def __init__(self, log: EventLog, first_time_s: int, max_events: int) -> None:
        self.log, self.first_time_s, self.max_events = log, first_time_s, max_events

    def __call__(self, requests: Requests, items: NDArray[np.int64] | None = None) -> OwnEvents:
        log = self.log
        first = np.asarray(log.user_offsets)[requests.users]
        stop = np.asarray(log.basket_offsets)[log.baskets_before(requests.users, requests.known_until_s)]
        place = stop[:, None] - 1 - np.arange(self.max_events)  # (N, L)
        is_padding = place < first[:, None]
        place = np.where(is_padding, 0, place)
        times_s = np.where(is_padding, 0, np.asarray(log.event_times_s)[place].astype(np.int64))
        days = np.where(is_padding, 0.0, (times_s - self.first_time_s) / SECONDS_PER_DAY)
        return OwnEvents(
            items=torch.from_numpy(np.where(is_padding, 0, np.asarray(log.event_items)[place]).astype(np.int64)),
            places=torch.from_numpy(np.where(is_padding[..., None], 0, self._places(times_s))),
            log_days=torch.from_numpy(days.astype(np.float32)),
            is_padding=torch.from_numpy(is_padding),
        )

    def _places(self, times_s: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns ``(N, L, 5)`` places; the events of a basket share one computation."""
        distinct, row = np.unique(times_s, return_inverse=True)
        return clock_places(distinct, self.log.timezone)[row.reshape(times_s.shape)]
