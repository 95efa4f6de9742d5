"""Logs of a few users whose future can be another one, for the tests of counters."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from evaluation_logs import Basket, build_log

from seasonrec.batches.requests import Requests
from seasonrec.data.log import EventLog

START = datetime(2016, 1, 4, 9, tzinfo=UTC)
NUM_USERS, NUM_ITEMS, NUM_WEEKS = 8, 12, 70


def cut_s(week: int) -> int:
    """Returns noon of a Thursday, within a week."""
    return int((START + timedelta(weeks=week, days=3, hours=3)).timestamp())


def log_of_weeks(cut_week: int = NUM_WEEKS, other_seed: int = 0) -> EventLog:
    """Returns a log of users with a basket every one to three weeks; from :func:`cut_s` of a week on, of another seed.

    Items 10 and 11 are first sold in the last weeks, at another time in each future.
    """
    past, future = np.random.default_rng(7), np.random.default_rng(other_seed)
    baskets = []
    for week in range(NUM_WEEKS):
        for user in range(NUM_USERS):
            moment = START + timedelta(weeks=week, days=int(user % 7), hours=user)
            is_past = moment.timestamp() < cut_s(cut_week)
            draw = past if is_past else future
            num_items = 10 if week < 60 else NUM_ITEMS
            share = np.append(np.ones(5), np.full(num_items - 5, 0.3)) * (1.0 + 3.0 * (np.arange(num_items) == user))
            visits = week % (1 + user % 3) == 0 if is_past else draw.random() < 0.7
            if visits:
                chosen = draw.choice(num_items, 2 if is_past else draw.integers(1, 4), False, share / share.sum())
                baskets.append((user, moment.strftime("%Y-%m-%d %H:%M"), [int(item) for item in chosen]))
    last = (START + timedelta(weeks=NUM_WEEKS)).strftime("%Y-%m-%d %H:%M")
    return _without_texts([*baskets, (0, last, list(range(NUM_ITEMS)))])


def log_of_births() -> EventLog:
    """Returns a log of weekly baskets of one item that is sold in this week only, and one of five old items."""
    draw = np.random.default_rng(0)
    moments = [(user, week) for user in range(NUM_USERS) for week in range(40)]
    return _without_texts(
        [
            (user, (START + timedelta(weeks=week, hours=user)).strftime("%Y-%m-%d %H:%M"), [week + 5, int(item)])
            for (user, week), item in zip(moments, draw.integers(5, size=len(moments)), strict=True)
        ]
    )


def _without_texts(baskets: list[Basket]) -> EventLog:
    log = build_log(baskets)
    return replace(log, items=log.items.with_columns(text=pl.lit("")))


def requests_at(time_s: int, horizon_s: int = 0) -> Requests:
    """Returns one request of every user without a target."""
    times_s = np.full(NUM_USERS, time_s, dtype=np.int64)
    return Requests(np.arange(NUM_USERS), times_s, times_s - horizon_s, np.full(NUM_USERS, -1))
