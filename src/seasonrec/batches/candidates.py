"""Rules of which items are candidates of a request."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seasonrec.batches.requests import Requests, gather_ranges
from seasonrec.data.log import EventLog

Candidates = Literal["known", "before_request", "all"]
"""Items whose first event lies before the end of the readable history, items whose first event lies before the request,
or the whole catalogue. With a horizon of 0 the first two are the same."""

NEVER_S = np.iinfo(np.int64).max
"""A time after every event."""


def candidates_until_s(rule: Candidates, requests: Requests) -> NDArray[np.int64]:
    """Returns ``(N,)`` seconds: the items whose first event lies strictly before them are the candidates.

    Strictly, because the first event of an item may be the target itself, which nobody knows before the request.
    """
    if rule == "all":
        return np.full(len(requests), NEVER_S)
    return requests.known_until_s if rule == "known" else requests.times_s


def available_targets(
    log: EventLog, requests: Requests, rule: Candidates
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Returns the items of the requests' baskets that are candidates, and the number of the others.

    Returns:
        Request and item of each target, both ``(M,)``, and ``(N,)`` numbers of the items that are no candidates. A
        request without a basket has neither.
    """
    # plain arrays over the same files: indexing a np.memmap is several times slower
    offsets, event_items, first_seen_s = map(np.asarray, (log.basket_offsets, log.event_items, log.item_first_seen_s))
    known = np.maximum(requests.baskets, 0)
    starts = offsets[known]
    request, event = gather_ranges(starts, np.where(requests.baskets >= 0, offsets[known + 1], starts))
    items = event_items[event].astype(np.int64)
    available = first_seen_s[items] < candidates_until_s(rule, requests)[request]
    unavailable = np.bincount(request[~available], minlength=len(requests))
    return request[available], items[available], unavailable
