"""Leaks of many kinds, for the tests of the auditor."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.requests import Requests
from seasonrec.data.calendar import local_days, weekdays
from seasonrec.data.log import EventLog
from seasonrec.data.spec import DataSpec

DAY = 86_400
Look = Callable[[EventLog, Requests], NDArray[Any]]


@dataclass(frozen=True)
class Peek:
    tensor: torch.Tensor

    def rows(self, start: int, stop: int) -> "Peek":
        return Peek(self.tensor[start:stop])


@dataclass(frozen=True)
class PeekingContext:
    """Context with the result of ``look``, a row for each request."""

    look: Look
    name: str = "peek"

    def bind(self, log: EventLog, spec: DataSpec) -> Callable[..., Peek]:
        return lambda requests, items=None: Peek(torch.from_numpy(np.asarray(self.look(log, requests))))


class LeakOfChosenItems(PeekingContext):
    """Context that leaks only if some items were requested."""

    def bind(self, log: EventLog, spec: DataSpec) -> Callable[..., Peek]:
        def compute(requests: Requests, items: NDArray[np.int64] | None = None) -> Peek:
            return Peek(torch.zeros(len(requests)) if items is None else torch.from_numpy(all_sales(log, requests)))

        return compute


def first_target(log: EventLog, requests: Requests) -> NDArray[Any]:
    return log.event_items[log.basket_offsets[requests.baskets]]


def size_of_own_basket(log: EventLog, requests: Requests) -> NDArray[Any]:
    return log.basket_offsets[requests.baskets + 1] - log.basket_offsets[requests.baskets]


def own_basket_is_large(log: EventLog, requests: Requests) -> NDArray[Any]:
    return size_of_own_basket(log, requests) > 2


def value_of_own_basket(log: EventLog, requests: Requests) -> NDArray[Any]:
    sums = np.append(0.0, np.cumsum(np.nan_to_num(log.event_values, nan=1.0).astype(np.float64)))
    return sums[log.basket_offsets[requests.baskets + 1]] - sums[log.basket_offsets[requests.baskets]]


def baskets_of_the_user(log: EventLog, requests: Requests) -> NDArray[Any]:
    return log.user_baskets[requests.users + 1] - log.user_baskets[requests.users]


def events_of_the_user(log: EventLog, requests: Requests) -> NDArray[Any]:
    return log.user_offsets[requests.users + 1] - log.user_offsets[requests.users]


def days_until_each_item_is_sold(log: EventLog, requests: Requests) -> NDArray[Any]:
    return np.maximum(log.item_first_seen_s - requests.known_until_s[:, None], 0) / DAY


def number_of_future_items(log: EventLog, requests: Requests) -> NDArray[Any]:
    soon = log.item_first_seen_s < requests.times_s[:, None] + 60 * DAY
    return (soon & (log.item_first_seen_s >= requests.known_until_s[:, None])).sum(1)


def only_on(weekday: int) -> Look:
    def look(log: EventLog, requests: Requests) -> NDArray[Any]:
        is_day = weekdays(local_days(requests.times_s, log.timezone)) == weekday
        return np.where(is_day, first_target(log, requests), -1)

    return look


def only_before_christmas(log: EventLog, requests: Requests) -> NDArray[Any]:
    days = local_days(requests.times_s, log.timezone)
    is_day = [str(np.datetime64(int(day), "D"))[5:] in ("12-24", "12-25", "12-26") for day in days]
    return np.where(is_day, size_of_own_basket(log, requests), -1)


def only_some_users(log: EventLog, requests: Requests) -> NDArray[Any]:
    return np.where(requests.users % 4 == 0, first_target(log, requests), -1)


def next_visit(log: EventLog, requests: Requests) -> NDArray[Any]:
    following = log.baskets_before(requests.users, requests.times_s + 1)
    own = following < log.user_baskets[requests.users + 1]
    return np.where(own, log.basket_times_s[np.minimum(following, log.num_baskets - 1)], -1)


def comes_back_within_a_month(log: EventLog, requests: Requests) -> NDArray[Any]:
    until = next_visit(log, requests)
    return (until >= 0) & (until < requests.times_s + 30 * DAY)


def previous_visits_counted_from_the_end(log: EventLog, requests: Requests) -> NDArray[Any]:
    return log.user_baskets[requests.users + 1] - log.baskets_before(requests.users, requests.known_until_s)


def sales(log: EventLog, chosen: list[NDArray[np.bool_]]) -> NDArray[Any]:
    return np.stack([np.bincount(log.event_items[events], minlength=log.num_items) for events in chosen])


def sales_up_to_the_request(log: EventLog, requests: Requests) -> NDArray[Any]:
    return sales(log, [log.event_times_s <= time_s for time_s in requests.known_until_s])


def sales_of_the_next_week(log: EventLog, requests: Requests) -> NDArray[Any]:
    late = [(log.event_times_s >= s) & (log.event_times_s < s + 7 * DAY) for s in requests.known_until_s]
    return sales(log, late).sum(1)


def all_sales(log: EventLog, requests: Requests) -> NDArray[Any]:
    return sales(log, [log.event_times_s > 0 for _ in requests.times_s])


def sales_before_the_request(log: EventLog, requests: Requests) -> NDArray[Any]:
    return sales(log, [log.event_times_s < time_s for time_s in requests.times_s])


def sales_as_known_to_the_last_of_the_batch(log: EventLog, requests: Requests) -> NDArray[Any]:
    return sales(log, [log.event_times_s < requests.known_until_s.max() for _ in requests.times_s])


def mean_value_of_all_events(log: EventLog, requests: Requests) -> NDArray[Any]:
    return np.full(len(requests), np.nan_to_num(log.event_values, nan=1.0).mean()) + log.num_events


def busiest_day(log: EventLog, requests: Requests) -> NDArray[Any]:
    days = local_days(log.basket_times_s, log.timezone)
    return np.full(len(requests), np.bincount(days - days.min()).max())


CONTEXTS: tuple[Look, ...] = (
    first_target,
    size_of_own_basket,
    own_basket_is_large,
    value_of_own_basket,
    baskets_of_the_user,
    events_of_the_user,
    days_until_each_item_is_sold,
    number_of_future_items,
    only_on(0),
    only_on(6),
    only_before_christmas,
    only_some_users,
    next_visit,
    comes_back_within_a_month,
    previous_visits_counted_from_the_end,
    sales_up_to_the_request,
    sales_of_the_next_week,
    sales_before_the_request,
    all_sales,
    mean_value_of_all_events,
    busiest_day,
)
"""Looks that show in the inputs of one request."""


def with_target_in_the_window(batch: SequenceBatch, random: np.random.Generator) -> SequenceBatch:
    items = batch.item_ids.clone()
    first = torch.searchsorted(batch.target_request, torch.arange(batch.num_requests))
    last = (batch.request_position - 1).clamp(min=0)
    items[batch.request_window, last] = batch.target_items[first]
    return replace(batch, item_ids=items)


def shorter_before_large_baskets(batch: SequenceBatch, random: np.random.Generator) -> SequenceBatch:
    sizes = torch.bincount(batch.target_request, minlength=batch.num_requests)
    return replace(batch, request_position=(batch.request_position - sizes.clamp(max=2)).clamp(min=0))


def items_of_a_window_rolled(batch: SequenceBatch, random: np.random.Generator) -> SequenceBatch:
    return replace(batch, item_ids=batch.item_ids.roll(-1, dims=1))


def later_times(batch: SequenceBatch, random: np.random.Generator) -> SequenceBatch:
    most = batch.item_ids.masked_fill(batch.is_padding, 0).sum(1, keepdim=True)
    return replace(batch, timestamps_s=batch.timestamps_s + most * ~batch.is_padding)


AUGMENTATIONS = (with_target_in_the_window, shorter_before_large_baskets, items_of_a_window_rolled, later_times)


class Habit(torch.nn.Module):
    """Component with a tensor, where components hide it: a buffer, an attribute, a number, a list, a function."""

    def __init__(self, value: Any, where: str) -> None:
        super().__init__()
        if where == "buffer":
            self.register_buffer("value", torch.as_tensor(np.array(value)), persistent=False)
        elif where == "parameter":
            self.value = torch.nn.Parameter(torch.as_tensor(value, dtype=torch.float32))
        elif where == "function":
            self.scores = lambda: value
        else:
            self.value = [{"kept": value}]


def days_to_birth(log: EventLog, until_s: int) -> Any:
    return (log.item_first_seen_s - until_s).clip(0) / DAY


def counts_of_all_events(log: EventLog, until_s: int) -> Any:
    return np.bincount(log.event_items, minlength=log.num_items).astype(np.float64)


def mean_basket_size(log: EventLog, until_s: int) -> Any:
    return float(log.num_events / log.num_baskets)


def whole_log(log: EventLog, until_s: int) -> Any:
    return log


def total_of_events(log: EventLog, until_s: int) -> Any:
    return log.num_events


MADE = (
    (days_to_birth, "buffer"),
    (counts_of_all_events, "parameter"),
    (counts_of_all_events, "list"),
    (mean_basket_size, "list"),
    (mean_basket_size, "function"),
    (whole_log, "list"),
    (total_of_events, "function"),
)
"""Values that a component may keep, and the place where it keeps them."""


def sales_since_the_refresh(log: EventLog, requests: Requests) -> NDArray[Any]:
    """Returns the sales until the request, which a frozen protocol hides from its last refresh on."""
    return np.searchsorted(np.sort(log.event_times_s), requests.times_s)
