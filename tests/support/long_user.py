"""A log in which one user has nearly all events, and logs of as many events by users with few."""

import numpy as np
from random_log import DAY_S, START_S, log_of

from seasonrec.data.log import EventLog


def long_user(baskets: int, others: int = 8, num_items: int = 12) -> EventLog:
    """Returns a log whose user 3 has ``baskets`` baskets of one or two items; ``others`` have 20 each."""
    return users_of([20, 20, 20, baskets, *[20] * (others - 3)], num_items)


def users_of(counts: list[int], num_items: int = 12) -> EventLog:
    """Returns a log of users with some numbers of baskets, spread over 400 days."""
    draw = np.random.default_rng(sum(counts))
    users = np.repeat(np.arange(len(counts)), counts)
    moments = START_S + np.concatenate([np.arange(count) * (400 * DAY_S // count) for count in counts])
    lengths = draw.integers(1, 3, len(users))
    first = draw.integers(0, num_items, len(users))
    second = (first + draw.integers(1, num_items, len(users))) % num_items
    items = np.stack([first, second], axis=1)[np.arange(2) < lengths[:, None]]
    return log_of(users, moments, lengths, items, num_items)
