"""Windows of events, read from the sequences of a log."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.requests import Requests
from seasonrec.data.log import EventLog


class EventWindows:
    """Reader of windows of events, with the events of all behaviours.

    Attributes:
        user_offsets: ``(U + 1,)`` int64, first event of each user.
    """

    def __init__(self, log: EventLog) -> None:
        self._read, told = log.sequences, log.sequences.event_behaviours
        self._num_items = log.num_items
        # plain arrays over the same files: indexing a np.memmap is several times slower
        self._items = np.asarray(self._read.event_items)
        self._times_s = np.asarray(self._read.event_times_s)
        self._behaviours = None if told is None else np.asarray(told)
        self.user_offsets: NDArray[np.int64] = np.asarray(self._read.user_offsets)

    def history_ends(self, requests: Requests) -> NDArray[np.int64]:
        """Returns ``(N,)`` numbers of the first event of each user that the request may not read."""
        return np.asarray(self._read.basket_offsets)[self._read.baskets_before(requests.users, requests.known_until_s)]

    def __call__(self, start: NDArray[np.int64], end: NDArray[np.int64]) -> dict[str, Any]:
        """Returns the events ``start:end`` of each window, both ``(B,)``, as the fields of a batch by name."""
        lengths = end - start
        columns = np.arange(max(int(lengths.max(initial=0)), 1))
        is_padding = columns >= lengths[:, None]  # (B, T)
        event = start[:, None] + columns
        event[is_padding] = 0

        def read(values: NDArray[np.integer], empty: int) -> Tensor:
            found = values[event].astype(np.int64)
            found[is_padding] = empty
            return torch.from_numpy(found)

        return {
            "item_ids": read(self._items, self._num_items),
            "timestamps_s": read(self._times_s, 0),
            "is_padding": torch.from_numpy(is_padding),
            "behaviours": None if self._behaviours is None else read(self._behaviours, 0),
        }
