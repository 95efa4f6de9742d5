"""Tags of every evaluated basket and target, independent of the model and shared by all scorers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seasonrec.batches.horizon import ROLLING
from seasonrec.batches.requests import Requests, gather_ranges
from seasonrec.batches.splits import Split
from seasonrec.data.calendar import local_days, weekdays
from seasonrec.data.log import EventLog
from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.slices.holidays import window_names
from seasonrec.evaluation.slices.masks import GAP_BIRTH
from seasonrec.evaluation.slices.user_groups import user_groups


@dataclass(frozen=True)
class BasketTags:
    """Evaluated baskets with their tags.

    Args:
        baskets: ``(Q,)`` int64 basket numbers of the log, ascending.
        requests: One row per basket: ``user, user_id, basket, request_time_s, day, week, month, window, cold_user``,
            and ``user.NAME`` for each attribute of the users that makes slices.
        events: One row per target, baskets in order: ``request`` (its row in ``requests``), ``items``, ``repeat``,
            ``in_season``, ``cold_item``, ``head``; and ``gap_birth`` if histories end before their requests.
    """

    baskets: NDArray[np.int64]
    requests: pl.DataFrame
    events: pl.DataFrame

    @staticmethod
    def of(log: EventLog, split: Split, protocol: Protocol) -> BasketTags:
        """Tags every basket of the protocol's part.

        A target is *repeat* if the user bought the item before the end of the readable history, *cold* if the item had
        few events before the validation cut, *head* if it belongs to the most bought share of the trained items, *gap
        birth* if it was first sold between the end of the readable history and the request, and *in season* as in
        :func:`in_season`. These tags read the week of the request; no model sees them.
        """
        baskets = split.baskets(log, protocol.part)
        owner, position = gather_ranges(log.basket_offsets[baskets], log.basket_offsets[baskets + 1])
        items = np.asarray(log.event_items[position])
        cold_items, head_items = _item_tags(log, split, protocol)
        horizon = protocol.horizon(split, log.timezone)
        requests = Requests.of_baskets(log, baskets, horizon)
        events = pl.DataFrame(
            {
                "request": owner.astype(np.int64),
                "items": items.astype(np.int32),
                "repeat": _first_bought_s(log)[position] < requests.known_until_s[owner],
                "in_season": in_season(log, baskets, protocol),
                "cold_item": cold_items[items],
                "head": head_items[items],
                **({} if horizon == ROLLING else {GAP_BIRTH: _gap_births(log, requests, owner, items)}),
            }
        )
        return BasketTags(baskets, _describe(log, protocol, baskets, split.since_s(protocol.part)), events)

    def where(self, kept: NDArray[np.bool_]) -> BasketTags:
        """Returns the tags of the baskets where ``kept``, ``(Q,)``, is True."""
        if kept.all():
            return self
        number = np.cumsum(kept) - 1
        request = self.events["request"].to_numpy()
        events = self.events.filter(kept[request]).with_columns(request=number[request[kept[request]]])
        return BasketTags(self.baskets[kept], self.requests.filter(kept), events)


def in_season(log: EventLog, baskets: NDArray[np.int64], protocol: Protocol) -> NDArray[np.bool_]:
    """Marks targets whose item sells far above its yearly share in the local week of the request.

    The item's share of that week's events must be above ``season_ratio`` times its share of all events of the log, and
    the week must hold at least ``season_min_events`` of its events. Measured on Complete Journey at ``product_type``
    (1,567 items): of the events of the Thanksgiving window 11.8% are in season without a floor, 11.1% with a floor of
    5, 10.2% with 10, 8.5% with 20 and 6.1% with 50. The default of 5 is the floor nearest to the 11.5% of an earlier
    measurement. It marks 3.4% of the ordinary test weeks' events, an upper bound on the share that chance marks.

    Returns:
        ``(M,)`` bool, one per target of these baskets, in order.
    """
    days = local_days(np.asarray(log.basket_times_s), log.timezone)
    weeks = days - weekdays(days)
    asked = np.isin(weeks, np.unique(weeks[baskets]))
    near = np.flatnonzero(asked)
    owner, position = gather_ranges(log.basket_offsets[near], log.basket_offsets[near + 1])
    week = weeks[near[owner]]
    item = np.asarray(log.event_items[position], dtype=np.int64)
    _, of_pair, pair_events = np.unique(week * log.num_items + item, return_inverse=True, return_counts=True)
    _, of_week, week_events = np.unique(week, return_inverse=True, return_counts=True)
    item_events = np.bincount(log.event_items, minlength=log.num_items)
    sold = pair_events[of_pair]
    share, usual = sold / week_events[of_week], item_events[item] / log.num_events
    marked = (share > protocol.season_ratio * usual) & (sold >= protocol.season_min_events)
    return marked[np.isin(near, baskets)[owner]]


def _gap_births(
    log: EventLog, requests: Requests, owner: NDArray[np.int64], items: NDArray[np.int32]
) -> NDArray[np.bool_]:
    born_s = np.asarray(log.item_first_seen_s)[items]
    return (born_s >= requests.known_until_s[owner]) & (born_s < requests.times_s[owner])


def _first_bought_s(log: EventLog) -> NDArray[np.int64]:
    """Returns ``(E,)`` times of the user's first purchase of each event's item; events are sorted by user and time."""
    users = np.repeat(np.arange(log.num_users, dtype=np.int64), np.diff(log.user_offsets))
    _, first, pair = np.unique(users * log.num_items + log.event_items, return_index=True, return_inverse=True)
    return np.asarray(log.event_times_s)[first[pair]]


def _item_tags(log: EventLog, split: Split, protocol: Protocol) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Returns cold items and the head, each ``(V,)``; items with as many events as its last one belong to the head."""
    times_s, items = np.asarray(log.event_times_s), np.asarray(log.event_items)
    seen = np.bincount(items[times_s < split.train_until_s], minlength=log.num_items)
    training = (times_s >= split.train_from_s) & (times_s < split.train_until_s)
    trained = np.bincount(items[training], minlength=log.num_items)
    ordered = np.sort(trained[trained > 0])[::-1]
    last = math.ceil(protocol.head_share * len(ordered)) - 1
    return seen < protocol.cold_item_events, trained >= ordered[last]


def _describe(log: EventLog, protocol: Protocol, baskets: NDArray[np.int64], since_s: int) -> pl.DataFrame:
    times_s = np.asarray(log.basket_times_s[baskets])
    users = np.asarray(log.basket_users[baskets])
    earlier = np.asarray(log.basket_users)[np.asarray(log.basket_times_s) < since_s]
    days = local_days(times_s, log.timezone)
    names = window_names(days, protocol.holidays, log.country, log.occasions)
    dates, mondays = (pl.Series(each.astype(np.int32)).cast(pl.Date) for each in (days, days - weekdays(days)))
    tags = pl.DataFrame(
        {
            "user": users.astype(np.int32),
            "user_id": log.users["user_id"].cast(pl.String).gather(users),
            "basket": baskets.astype(np.int64),
            "request_time_s": times_s.astype(np.int64),
            "day": dates,
            "week": mondays,
            "month": dates.dt.month(),
            "window": pl.Series(names, dtype=pl.String),
            "cold_user": np.bincount(earlier, minlength=log.num_users)[users] < protocol.cold_user_baskets,
        }
    )
    groups = user_groups(log)
    return tags.hstack(groups[users]) if groups.width else tags
