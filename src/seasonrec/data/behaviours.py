"""Behaviours: a log in which the events of one behaviour are the purchases, and those of the others history."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seasonrec.data.log import EventLog
from seasonrec.data.tables import DataError

UNCHOSEN = "protocol.target_behaviour must name the behaviour that is to be recommended"


def with_target(log: EventLog, target: str | None) -> EventLog:
    """Returns the log whose events are those of one behaviour; ``sequences`` keeps all events.

    Whatever counts or predicts purchases reads the events of the target alone: requests, targets, contexts, labels,
    baselines and groups. The sequences of the model hold the events of all behaviours. An item exists from its first
    event of any behaviour on.

    Args:
        log: The prepared log.
        target: Name of the behaviour; None for a log whose events have none.

    Raises:
        DataError: If the log has behaviours and none is chosen, or has no event of this one; the message lists those of
            the log.
    """
    if log.event_behaviours is None:
        if target is not None:
            raise DataError(
                f"protocol.target_behaviour={target} needs events with a behaviour, and this log has none; name their "
                "column, data.behaviour_column=NAME, or take the key out."
            )
        return log
    counts = np.bincount(log.event_behaviours, minlength=len(log.behaviours))
    listed = ", ".join(f"{name} ({count:,} events)" for name, count in zip(log.behaviours, counts, strict=True))
    if target is None:
        raise DataError(f"{UNCHOSEN}; the events of this log are {listed}; set it to one of these.")
    if target not in log.behaviours or not counts[log.behaviours.index(target)]:
        raise DataError(f"{UNCHOSEN}, got {target!r}; the events of this log are {listed}; choose one of these.")
    return replace(_events_of(log, log.behaviours.index(target)), target_behaviour=target, all_behaviours=log)


def _events_of(log: EventLog, behaviour: int) -> EventLog:
    """Returns the log of the events of one behaviour; users, items and the times of their first events stay."""
    kept = np.asarray(log.event_behaviours) == behaviour
    before = np.append(0, np.cumsum(kept))  # (E + 1,) kept events before each event
    offsets = before[log.basket_offsets]
    filled = np.flatnonzero(np.diff(offsets))  # baskets with a kept event
    baskets_before = np.append(0, np.cumsum(np.diff(offsets) > 0))
    return replace(
        log,
        event_items=log.event_items[kept],
        event_times_s=log.event_times_s[kept],
        event_values=log.event_values[kept],
        event_behaviours=None,
        user_offsets=before[log.user_offsets],
        user_baskets=baskets_before[log.user_baskets],
        basket_offsets=np.append(offsets[filled], offsets[-1]),
        basket_users=log.basket_users[filled],
        basket_times_s=log.basket_times_s[filled],
    )
