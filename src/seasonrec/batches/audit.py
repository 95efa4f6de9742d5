"""Leak audit before training.

The audit copies the log, replaces all events after a moment, and checks that the inputs of requests before that moment
do not change by a single bit. It covers new contexts without a further check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.context.base import BoundContext, Context
from seasonrec.batches.excerpt import excerpt
from seasonrec.batches.facts import Facts
from seasonrec.batches.labels.base import Labels
from seasonrec.batches.loader import BatchBuilder
from seasonrec.batches.requests import Requests
from seasonrec.batches.splits import Split
from seasonrec.batches.user_pools import Period
from seasonrec.data.log import EventLog
from seasonrec.data.portions import basket_portions
from seasonrec.data.spec import SECONDS_PER_DAY, DataSpec
from seasonrec.errors import UserError

SAMPLE = 64
"""Number of requests of each part that are checked: evenly spread, including the last."""

SAMPLED_CELLS = 1 << 23
"""Limit of requests times items in the sample of a part; with over 100,000 items, fewer requests are checked."""

AUDITED_EVENTS = 1 << 22
"""Limit of the events of the copied log. A longer log is reduced to every n-th user and the users of the sample."""

SAMPLED_BASKETS = 1 << 20
"""Limit of the baskets from which a part's sample is drawn. A longer part is reduced to every n-th basket."""

SOME_ITEMS = 16
"""Number of items for which the contexts are also computed alone."""

FUTURE_SHIFT_S = 3 * SECONDS_PER_DAY


class LeakError(UserError):
    """Error of a run whose model could read future events."""


def audit(
    log: EventLog,
    spec: DataSpec,
    split: Split,
    facts: Facts,
    contexts: Mapping[str, Context],
    horizon_s: int,
    labels: Mapping[str, Labels] | None = None,
) -> list[str]:
    """Checks that no future event can reach the model.

    Args:
        facts: Facts with which the components of the model are built.
        contexts: Contexts that the components read, by name.
        horizon_s: Seconds before a request at which its history ends.
        labels: Labels of the model's tasks, by name.

    Returns:
        One line for each passed check.

    Raises:
        LeakError: If a training basket lies at or after the validation cut, an item's first-seen time differs from its
            first event, a target is visible in its own input, a statistic or a context reads events after its
            moment, or a label of a training or validation request reads events after the next cut.
    """
    parts = split.baskets_by_part(log)
    _check_parts(log, split, parts)
    _check_first_seen(log)
    asked = {name: _sample(log, baskets, horizon_s) for name, baskets in parts.items()}
    small = excerpt(log, np.concatenate([requests.users for requests in asked.values()]), AUDITED_EVENTS)
    _check_statistics(log, small.log, spec, facts)

    def bind(one: EventLog) -> dict[str, BoundContext]:
        return {name: context.bind(one, spec) for name, context in contexts.items()}

    bound = bind(small.log)
    for name, requests in asked.items():
        _check_requests(small.log, bound, bind, facts.max_seq_len, small.requests(requests), name)
    for name, until_s in (("training", split.validation_from_s), ("validation", split.test_from_s)):
        _check_labels(small.log, labels or {}, split, small.requests(asked[name]), name, until_s)
    return [
        f"no test or validation event among {len(parts['training']):,} training baskets",
        f"candidates exist: first-seen times of {log.num_items:,} items equal their first events",
        "statistics do not change when everything from the validation cut on is replaced",
        f"inputs and contexts {sorted(contexts)} of {_sample_size(log)} requests per part do not change when their "
        "future is replaced",
        *([f"labels {sorted(labels)} end at the cut after their request"] if labels else []),
    ]


def _check_parts(log: EventLog, split: Split, parts: Mapping[str, NDArray[np.int64]]) -> None:
    read = Period(split.train_from_s, split.validation_from_s).of_users(log, (0, log.num_users))  # as the loader does
    baskets = np.concatenate([parts["training"], read])
    late = baskets[log.basket_times_s[baskets] >= split.validation_from_s]
    if len(late):
        raise LeakError(
            f"a test event in training: basket {int(late[0])} lies at second {int(log.basket_times_s[late[0]])}, the "
            f"validation cut at {split.validation_from_s}; training baskets must lie before the cut."
        )


def _check_first_seen(log: EventLog) -> None:
    first = np.full(log.num_items, np.iinfo(np.int64).max)
    for _, events in basket_portions(log):
        np.minimum.at(first, log.event_items[events], log.event_times_s[events])
    wrong = np.flatnonzero(first != log.item_first_seen_s)
    if len(wrong):
        item = int(wrong[0])
        raise LeakError(
            f"an item ranked before it existed: item {log.items['item_id'][item]!r} has its first-seen time at second "
            f"{int(log.item_first_seen_s[item])}, but its first event is at {int(first[item])}; prepare the data again."
        )


def _check_statistics(log: EventLog, small: EventLog, spec: DataSpec, facts: Facts) -> None:
    def facts_of(one: EventLog) -> Facts:
        return Facts.of(one, spec, facts.embedding_dim, facts.max_seq_len, facts.cache_dir)

    if small is not log:
        if name := _differing(facts, facts_of(log)):
            raise LeakError(
                f"statistics from after the cut: facts.{name} is not what the events before second "
                f"{spec.train_until_s} give; compute it from events before the cut."
            )
        facts = facts_of(small)
    if name := _differing(facts, facts_of(replace_future(small, spec.train_until_s))):
        raise LeakError(
            f"statistics from after the cut: facts.{name} changes when the events from second "
            f"{spec.train_until_s} on are replaced; compute it from events before the cut."
        )


def _differing(facts: Facts, again: Facts) -> str | None:
    names = ("item_train_counts", "item_interval_days", "item_first_seen_s")
    return _first_change(*({name: getattr(one, name) for name in names} for one in (facts, again)))


def _first_change(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> str | None:
    return next((name for name, value in before.items() if not torch.equal(value, after[name])), None)


def _check_requests(
    log: EventLog,
    bound: Mapping[str, BoundContext],
    bind: Callable[[EventLog], Mapping[str, BoundContext]],
    max_seq_len: int,
    requests: Requests,
    part: str,
) -> None:
    """Checks for each half of the requests that their inputs do not change with events after the last one."""
    order = np.argsort(requests.known_until_s, kind="stable")
    for group in np.array_split(order, min(2, len(order))):
        asked = requests[group]
        moment = int(asked.known_until_s[-1])
        other = replace_future(log, moment)
        before = _inputs(log, bound, max_seq_len, asked)
        if name := _first_change(before, _inputs(other, bind(other), max_seq_len, asked)):
            raise LeakError(
                f"a target visible in its own input: {name} of {part} requests up to second {moment} changes when "
                "the events from then on are replaced; read events before known_until_s only."
            )


def _check_labels(
    log: EventLog, labels: Mapping[str, Labels], split: Split, requests: Requests, part: str, until_s: int
) -> None:
    """Checks that the labels of a part's requests do not change with events after the part."""
    other = replace_future(log, until_s)
    for name, label in labels.items():
        before, after = (dict(_tensors(label.bind(one, split.cuts)(requests), name)) for one in (log, other))
        if place := _first_change(before, after):
            raise LeakError(
                f"a label reads beyond its part: {place} of {part} requests changes when the events from "
                f"second {until_s} on are replaced; read events before the next cut only."
            )


def replace_future(log: EventLog, moment_s: int) -> EventLog:
    """Returns the log with other items, three days later, in place of the events from a moment on."""
    items = np.array(log.event_items)
    event_times_s, basket_times_s = np.array(log.event_times_s), np.array(log.basket_times_s)
    late = event_times_s >= moment_s
    items[late] = (items[late] + max(1, log.num_items // 2)) % log.num_items
    event_times_s[late] += FUTURE_SHIFT_S
    basket_times_s[basket_times_s >= moment_s] += FUTURE_SHIFT_S
    return replace(log, event_items=items, event_times_s=event_times_s, basket_times_s=basket_times_s)


def _sample(log: EventLog, baskets: NDArray[np.int64], horizon_s: int) -> Requests:
    if len(baskets) > SAMPLED_BASKETS:
        latest = baskets[np.argmax(log.basket_times_s[baskets])]
        baskets = np.append(baskets[:: len(baskets) // SAMPLED_BASKETS + 1], latest)
    by_time = baskets[np.argsort(log.basket_times_s[baskets], kind="stable")]
    places = np.unique(np.linspace(0, len(by_time) - 1, min(_sample_size(log), len(by_time))).astype(np.int64))
    return Requests.of_baskets(log, by_time[places], horizon_s)


def _sample_size(log: EventLog) -> int:
    return max(4, min(SAMPLE, SAMPLED_CELLS // log.num_items))


def _inputs(
    log: EventLog, bound: Mapping[str, BoundContext], max_seq_len: int, requests: Requests
) -> dict[str, Tensor]:
    """Returns the inputs of the model for requests, by name, without the targets."""
    batch = BatchBuilder(log, bound, max_seq_len)(requests)
    items = np.unique(np.linspace(0, log.num_items - 1, SOME_ITEMS).astype(np.int64))
    of_some = {name: compute(requests, items) for name, compute in bound.items()}
    given = dict(_tensors(batch.context, "context")) | dict(_tensors(of_some, "context of some items"))
    return given | {name: getattr(batch, name) for name in _READ}


_TRUTH = ("target_items", "target_request", "sample", "labels")
_READ = tuple(field.name for field in fields(SequenceBatch) if field.name not in ("context", "domain", *_TRUTH))


def _tensors(value: Any, path: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield path, value
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _tensors(entry, f"{path}.{key}")
    elif is_dataclass(value):
        for field in fields(value):
            yield from _tensors(getattr(value, field.name), f"{path}.{field.name}")
